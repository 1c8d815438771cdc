/**
 * Runs the laboratory: the same text and the same prompt, first with the original model and then with changed routing.
 * Part of the experts view's code, which is loaded when the view is first opened.
 */
import type { Signal } from '@preact/signals';
import type { GenerateEvent, GenerateRequest } from '../../contract/engine-api.ts';
import { throwIfAborted } from '../../contract/errors.ts';
import { proxy } from '../../contract/rpc.ts';
import type { Preset } from '../state/generation-settings.ts';
import {
  type LabModel,
  type LabResults,
  type LabScore,
  type LabWords,
  labScores,
  labStep,
  labWords,
  ORIGINAL,
  withRow,
} from '../state/laboratory.ts';
import { loaded } from '../state/models.ts';
import { announcement } from '../state/notices.ts';
import type { NamedText } from '../state/paper.ts';
import { services } from './services.ts';
import { scoreWindow } from './text-routing.ts';
import { engine } from './workers.ts';

/** Tokens arrive faster than the page needs to show them. */
const SHOW_EVERY_MS = 60;

/** What all models of the laboratory read and write. */
export interface LabTask {
  text: NamedText;
  textTokens: number;
  prompt: string;
  preset: Preset;
  seed: number;
  /** 0: nothing is written. */
  maxTokens: number;
}

/** Equal for texts and loaded models whose scores can be compared. */
export const scoresKey = ({ text }: LabTask): string => JSON.stringify([...loadedKey(), scoreWindow(), text.text]);

/** Equal for prompts, settings and loaded models whose words can be compared. */
export const wordsKey = ({ prompt, preset, seed, maxTokens }: LabTask): string =>
  JSON.stringify([...loadedKey(), prompt, preset.name, seed, maxTokens]);

const loadedKey = (): (string | undefined)[] => [loaded.value?.summary.id, loaded.value?.compute.kind];

/** What is not known yet of one model. */
interface Missing {
  model: LabModel;
  score: boolean;
  words: boolean;
}

/** The work that is left. */
interface Work {
  /** The models of which something is missing, the original one first. */
  models: Missing[];
  tokensToRead: number;
  /** At most. */
  tokensToWrite: number;
}

/** @returns what has to be run for the original and the changed models, because no comparable result is known */
export function missingOf(task: LabTask, changed: readonly LabModel[]): Work {
  const scores = labScores.value?.key === scoresKey(task) ? labScores.value.rows : [];
  const words = labWords.value?.key === wordsKey(task) ? labWords.value.rows.filter(({ done }) => done) : [];
  const lacks = (rows: readonly { model: LabModel }[], { key }: LabModel): boolean =>
    rows.every(({ model }) => model.key !== key);
  const models = [ORIGINAL, ...changed]
    .map((model) => ({ model, score: lacks(scores, model), words: task.maxTokens > 0 && lacks(words, model) }))
    .filter(({ score, words: writes }) => score || writes);
  return {
    models,
    tokensToRead: task.textTokens * models.filter(({ score }) => score).length,
    tokensToWrite: task.maxTokens * models.filter(({ words: writes }) => writes).length,
  };
}

/** Runs what is missing of the original and of the changed models, and shows each result as soon as it is known. */
export function runLaboratory(task: LabTask, changed: readonly LabModel[]): Promise<void> {
  return services.experiments.run('laboratory', async (onProgress, signal) => {
    const { models, tokensToRead, tokensToWrite } = missingOf(task, changed);
    const total = tokensToRead + tokensToWrite;
    const { name } = loaded.value!.summary;
    begin(labScores, { key: scoresKey(task), loaded: name, of: task.text.name, rows: [] });
    begin(labWords, { key: wordsKey(task), loaded: name, of: shownPrompt(task.prompt), rows: [] });
    let before = 0;
    try {
      for (const { model, score, words } of models) {
        throwIfAborted(signal);
        labStep.value = model.name;
        if (score) await scoreWith(model, task, (done) => onProgress(before + done, total));
        if (score) before += task.textTokens;
        throwIfAborted(signal);
        if (words) await writeWith(model, task, (done) => onProgress(before + done, total), signal);
        if (words) before += task.maxTokens;
      }
    } finally {
      labStep.value = '';
    }
    announcement.value = `The laboratory is done: ${models.length} models were run.`;
  });
}

/** Keeps results that can be compared with those to come, and replaces others. */
function begin<T>(results: Signal<LabResults<T> | undefined>, next: LabResults<T>): void {
  if (results.value?.key !== next.key) results.value = next;
}

async function scoreWith(model: LabModel, task: LabTask, onProgress: (done: number) => void): Promise<void> {
  const { tokens, nll, perplexity, blocks } = await engine.score(
    { input: { kind: 'text', text: task.text.text }, context: scoreWindow(), ...ablationOf(model) },
    proxy(onProgress),
  );
  labScores.value = withRow<LabScore>(labScores.value!, { model, tokens, nll, perplexity, blocks });
}

const ablationOf = ({ ablation }: LabModel): Pick<GenerateRequest, 'ablation'> => (ablation ? { ablation } : {});

/** The prompt is a message if the model has a chat template. */
const isMessage = (): boolean => loaded.value?.summary.hasChatTemplate ?? false;

/** The prompt as it is shown before its continuation. */
const shownPrompt = (prompt: string): string => (isMessage() ? `${prompt}\n\n` : prompt);

/** Continues the prompt, and shows the text so far at once, at intervals, and at the end. */
async function writeWith(
  model: LabModel,
  { prompt, preset, seed, maxTokens }: LabTask,
  onProgress: (done: number) => void,
  signal: AbortSignal,
): Promise<void> {
  let words = '';
  let tokens = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const show = (done: boolean): void => {
    timer = undefined;
    labWords.value = withRow<LabWords>(labWords.value!, { model, words, done });
    onProgress(tokens);
  };
  let ended = false;
  const onEvent = (event: GenerateEvent): void => {
    if (event.type !== 'token' || ended) return;
    words += event.token.text;
    tokens++;
    timer ??= setTimeout(() => show(false), SHOW_EVERY_MS);
  };
  const input: GenerateRequest['input'] = isMessage()
    ? { kind: 'chat', messages: [{ role: 'user', content: prompt }] }
    : { kind: 'text', text: prompt };
  const request = { input, maxTokens, sampling: { ...preset.sampling, seed }, ...ablationOf(model) };
  try {
    ({ text: words } = await engine.generate(request, proxy(onEvent)));
  } finally {
    ended = true;
    clearTimeout(timer);
  }
  show(!signal.aborted);
}
