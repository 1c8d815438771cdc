import { useEffect, useState } from 'preact/hooks';
import { stop } from '../services/answers.ts';
import { engine } from '../services/workers.ts';
import { type Experiment, experiment, generating, loaded, loading, stopping } from '../state/state.ts';

interface Props {
  kind: Experiment['kind'];
  label: string;
  /** What it takes, said before. */
  cost: string;
  /** Why it makes no sense now; undefined where it does. */
  blocked?: string | undefined;
  onRun: () => void;
}

/** A button that has the model work for the experts' view; while it does, how far it is and a way to end it. */
export function RunBar({ kind, label, cost, blocked, onRun }: Props) {
  const running = experiment.value;
  if (running?.kind === kind) {
    const { done, total } = running;
    return (
      <div class="run">
        <button type="button" disabled={stopping.value} onClick={stop}>
          {stopping.value ? 'Stopping' : 'Stop'}
        </button>
        <progress aria-label={label} {...(done > 0 ? { value: done, max: total } : {})} />
        <span class="hint nowrap">{done > 0 ? `${done} of ${total} tokens` : 'Working …'}</span>
      </div>
    );
  }
  const reason = occupied() ?? blocked;
  return (
    <div class="run">
      <button type="button" class="primary" disabled={reason !== undefined} onClick={onRun}>
        {label}
      </button>
      <span class="hint">{reason ?? cost}</span>
      {(generating.value || running) && (
        <button type="button" class="small" disabled={stopping.value} onClick={stop}>
          {running ? 'Stop it' : 'Stop the answer'}
        </button>
      )}
    </div>
  );
}

/** Who has the model; undefined where it is free. */
function occupied(): string | undefined {
  if (loading.value) return 'The model is being loaded.';
  if (generating.value) return 'An answer is being written: this waits until it is done.';
  if (experiment.value) return 'The model is at work for another part of this view.';
  return undefined;
}

/** The text must be left alone for so long before its tokens are counted. */
const COUNT_AFTER_MS = 300;

/** Tokens of a text; undefined while that is not known. */
export function useTokenCount(text: string): number | undefined {
  const [count, setCount] = useState<number | undefined>(undefined);
  const model = loaded.value?.summary.id;
  useEffect(() => {
    let gone = false;
    setCount(undefined);
    const timer = setTimeout(async () => {
      const tokens = await engine.tokenize(text).catch(() => undefined);
      if (!gone) setCount(tokens?.length);
    }, COUNT_AFTER_MS);
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [text, model]);
  return count;
}

/** How many tokens a text takes, in words. */
export const costOf = (tokens: number | undefined, before = ''): string =>
  tokens === undefined ? 'Counting the tokens …' : `${before}${tokens} tokens to read`;
