/**
 * Compares the model with an altered one: the same request, first without and then with an ablation. Part of the
 * experts view's code, which is loaded when the view is first opened.
 */
import type { AblationOptions, GenerateEvent, GenerateRequest, ScoreResult } from '../../contract/engine-api.ts';
import { throwIfAborted } from '../../contract/errors.ts';
import { proxy } from '../../contract/rpc.ts';
import {
  type Continuations,
  continuations,
  currentAblation,
  currentChange,
  measured,
  setup,
} from '../state/laboratory.ts';
import { loaded } from '../state/models.ts';
import { announcement } from '../state/notices.ts';
import { services } from './services.ts';
import { scoreWindow } from './text-routing.ts';
import { engine } from './workers.ts';

/** Tokens arrive faster than the page needs to show them. */
const SHOW_EVERY_MS = 60;

/** Continues the prompt with the exact and then with the altered model, and sets `continuations`. */
export function generateBoth(): Promise<void> {
  const { prompt, maxTokens } = setup.value;
  const ablation = currentAblation();
  const changed = currentChange();
  return services.experiments.run('generating', async (onProgress, signal) => {
    const request = promptRequest(prompt);
    let shown: Continuations = {
      changed,
      prompt: request.input.kind === 'chat' ? `${prompt}\n\n` : prompt,
      exact: '',
      altered: undefined,
    };
    const show = (text: Partial<Continuations>, tokensDone: number): void => {
      shown = { ...shown, ...text };
      continuations.value = shown;
      onProgress(tokensDone, 2 * maxTokens);
    };
    await streamText(request, (exact, tokens) => show({ exact }, tokens));
    throwIfAborted(signal);
    await streamText({ ...request, ablation }, (altered, tokens) => show({ altered }, maxTokens + tokens));
    throwIfAborted(signal);
    announcement.value = 'Both texts are generated.';
  });
}

/** The setup's prompt and sampling as a request. The prompt is a message if the model has a chat template. */
function promptRequest(prompt: string): GenerateRequest {
  const { preset, seed, maxTokens } = setup.value;
  const input: GenerateRequest['input'] = loaded.value?.summary.hasChatTemplate
    ? { kind: 'chat', messages: [{ role: 'user', content: prompt }] }
    : { kind: 'text', text: prompt };
  return { input, maxTokens, sampling: { ...preset.sampling, seed } };
}

/** Generates, and shows the text so far (with its number of tokens) at once, at intervals, and at the end. */
async function streamText(request: GenerateRequest, show: (text: string, tokens: number) => void): Promise<void> {
  let text = '';
  let tokens = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let ended = false;
  const showNow = (): void => {
    timer = undefined;
    show(text, tokens);
  };
  const onEvent = (event: GenerateEvent): void => {
    if (event.type !== 'token' || ended) return;
    text += event.token.text;
    tokens++;
    timer ??= setTimeout(showNow, SHOW_EVERY_MS);
  };
  showNow();
  try {
    ({ text } = await engine.generate(request, proxy(onEvent)));
  } finally {
    ended = true;
    clearTimeout(timer);
  }
  showNow();
}

const measuringKey = (): string => `${loaded.value?.summary.id} ${scoreWindow()} ${setup.value.text}`;

/** Whether the exact model's perplexity of the setup's text is known already. */
export const isExactMeasured = (): boolean => measured.value?.key === measuringKey();

/** Scores the text with the altered model, and before that with the exact one unless its score is known. */
export function measureBoth(): Promise<void> {
  const { text } = setup.value;
  const ablation = currentAblation();
  const changed = currentChange();
  return services.experiments.run('measuring', async (onProgress, signal) => {
    const key = measuringKey();
    const known = isExactMeasured() ? measured.value : undefined;
    const passes = known ? 1 : 2;
    let tokensBefore = 0;
    const score = async (options: { ablation?: AblationOptions }): Promise<ScoreResult> => {
      const result = await engine.score(
        { input: { kind: 'text', text }, context: scoreWindow(), ...options },
        proxy((done, total) => onProgress(tokensBefore + done, passes * total)),
      );
      throwIfAborted(signal);
      tokensBefore += result.tokens;
      return result;
    };
    const { exact, rows } = known ?? { exact: await score({}), rows: [] };
    measured.value = { key, exact, rows };
    const altered = await score({ ablation });
    const row = { id: JSON.stringify(ablation), changed, exact: exact.perplexity, altered: altered.perplexity };
    measured.value = { key, exact, rows: [...rows.filter(({ id }) => id !== row.id), row] };
    announcement.value = `${changed}: perplexity ${row.altered.toFixed(2)}; original model ${row.exact.toFixed(2)}.`;
  });
}
