import { useEffect, useState } from 'preact/hooks';
import { services } from '../services/services.ts';
import { countTokens } from '../services/text-routing.ts';
import { type Experiment, experiment, generating, stopping } from '../state/generation.ts';
import { loaded, loading } from '../state/models.ts';

interface Props {
  kind: Experiment['kind'];
  label: string;
  /** How much work it is, shown before it starts. */
  cost: string;
  /** Why the input cannot be run. Undefined if it can. */
  blocked?: string | undefined;
  onRun: () => void;
}

/** A button that starts an experiment. While the experiment runs, it shows the progress and a button to stop it. */
export function RunBar({ kind, label, cost, blocked, onRun }: Props) {
  const running = experiment.value;
  if (running?.kind === kind) return <Progress label={label} running={running} />;
  const reason = modelBusy() ?? blocked;
  return (
    <div class="run">
      <button type="button" class="primary" disabled={reason !== undefined} onClick={onRun}>
        {label}
      </button>
      <span class="hint">{reason ?? cost}</span>
      {(generating.value || running) && (
        <button type="button" class="small" disabled={stopping.value} onClick={() => services.runs.stop()}>
          {running ? 'Stop experiment' : 'Stop answer'}
        </button>
      )}
    </div>
  );
}

function Progress({ label, running: { done, total } }: { label: string; running: Experiment }) {
  return (
    <div class="run">
      <button type="button" disabled={stopping.value} onClick={() => services.runs.stop()}>
        {stopping.value ? 'Stopping' : 'Stop'}
      </button>
      <progress aria-label={label} {...(done > 0 ? { value: done, max: total } : {})} />
      <span class="hint nowrap">{done > 0 ? `${done} of ${total} tokens` : 'Working …'}</span>
    </div>
  );
}

/** @returns why the model is busy, or undefined if it is free */
export function modelBusy(): string | undefined {
  if (loading.value) return 'The model is loading.';
  if (generating.value) return 'An answer is being generated. You can run this when it is done.';
  if (experiment.value) return 'The model is busy with another experiment.';
  return undefined;
}

/** How long a text must be left unchanged before its tokens are counted. */
const COUNT_DELAY_MS = 300;

/** @returns the number of tokens in a text, or undefined until they are counted */
export const useTokenCount = (text: string): number | undefined => useTokenCounts([text])?.[0];

/** @returns the number of tokens in each text, or undefined until all are there and counted */
export function useTokenCounts(texts: readonly (string | undefined)[]): number[] | undefined {
  const [counts, setCounts] = useState<number[] | undefined>(undefined);
  const modelId = loaded.value?.summary.id;
  useEffect(() => {
    let cancelled = false;
    setCounts(undefined);
    if (texts.includes(undefined)) return;
    const timer = setTimeout(async () => {
      const all = await Promise.all(texts.map((text) => countTokens(text!)));
      if (!cancelled && !all.includes(undefined)) setCounts(all as number[]);
    }, COUNT_DELAY_MS);
    return () => {
      cancelled = true;
      clearTimeout(timer);
    };
  }, [JSON.stringify(texts), modelId]);
  return counts;
}

/** @returns the model that has computed a result, in words */
export const readerOf = ({ model, modelId }: { model: string; modelId: string }): string =>
  modelId === loaded.value?.summary.id ? model : `${model}, which is no longer loaded`;

/** @returns how many tokens have to be read, in words */
export const readingCost = (tokens: number | undefined, { prefix = '', suffix = '' } = {}): string =>
  tokens === undefined ? 'Counting the tokens …' : `${prefix}${tokens} tokens to read${suffix}`;
