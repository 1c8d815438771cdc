/** Compares the model with itself as an ablation changes it: the same request, once without and once with it. */
import { signal } from '@preact/signals';
import type { AblationOptions, GenerateEvent, GenerateRequest, ScoreResult } from '../../contract/engine-api.ts';
import { aborted } from '../../contract/errors.ts';
import { proxy } from '../../contract/rpc.ts';
import { type Bans, bannedList, describeAblation } from '../state/ablation.ts';
import { PRESETS, type Preset } from '../state/generation-settings.ts';
import { announcement, loaded, stopping } from '../state/state.ts';
import { runExperiment } from './answers.ts';
import { SAMPLE, scoreWindow } from './text-routing.ts';
import { engine } from './workers.ts';

/** Tokens come faster than a page needs to be drawn. */
const SHOW_EVERY_MS = 60;

/** What the user has set; nothing of it reaches a conversation. */
export interface Setup {
  /** undefined: as many as the model uses. */
  expertsUsed: number | undefined;
  random: boolean;
  /** For experts drawn at random, and for the words of both texts. */
  seed: number;
  /** Of this model: another one has other experts. */
  bans: { modelId: string; ids: Bans };
  prompt: string;
  preset: Preset;
  maxTokens: number;
  text: string;
}

export const setup = signal<Setup>({
  expertsUsed: undefined,
  random: false,
  seed: 1,
  bans: { modelId: '', ids: new Set() },
  prompt: 'Once upon a time',
  preset: PRESETS[0],
  maxTokens: 60,
  text: SAMPLE,
});

export function changeSetup(changes: Partial<Setup>): void {
  setup.value = { ...setup.value, ...changes };
}

/** What is banned of the loaded model. */
export function currentBans(): Bans {
  const { modelId, ids } = setup.value.bans;
  return modelId === loaded.value?.summary.id ? ids : new Set();
}

export function setBans(ids: Bans): void {
  if (loaded.value) changeSetup({ bans: { modelId: loaded.value.summary.id, ids } });
}

/** The setup as it counts for the loaded model. */
export function currentAblation(): AblationOptions {
  const { expertsUsed, random, seed } = setup.value;
  const config = loaded.value?.summary.config;
  const bans = currentBans();
  return {
    ...(expertsUsed !== undefined && config && expertsUsed < config.expertsPerToken && { expertsUsed }),
    ...(random && { randomSeed: seed }),
    ...(config && bans.size > 0 && { banned: bannedList(bans, config.expertCount) }),
  };
}

export interface Continuations {
  changed: string;
  prompt: string;
  /** As the model writes, and as it does when changed; the second follows the first. */
  exact: string;
  altered: string | undefined;
}

export interface Measurement {
  /** The same for the same ablation. */
  id: string;
  changed: string;
  exact: number;
  altered: number;
}

export const continuations = signal<Continuations | undefined>(undefined);
/** Newest last, all of the same text and model. */
export const measured = signal<{ key: string; exact: ScoreResult; rows: Measurement[] } | undefined>(undefined);

/** The ablation in words; empty where nothing is changed. */
export const currentChange = (): string =>
  describeAblation(currentAblation(), loaded.value?.summary.config.layerCount ?? 0);

const measuringKey = (): string => `${loaded.value?.summary.id} ${scoreWindow()} ${setup.value.text}`;

/** The true model's perplexity of this text is known already. */
export const measuredBefore = (): boolean => measured.value?.key === measuringKey();

/** Writes on from the prompt twice. */
export function generateBoth(): Promise<void> {
  const { prompt, preset, seed, maxTokens } = setup.value;
  const ablation = currentAblation();
  const changed = currentChange();
  return runExperiment('generating', async (onProgress) => {
    const input: GenerateRequest['input'] = loaded.value?.summary.hasChatTemplate
      ? { kind: 'chat', messages: [{ role: 'user', content: prompt }] }
      : { kind: 'text', text: prompt };
    const request: GenerateRequest = { input, maxTokens, sampling: { ...preset.sampling, seed } };
    let shown: Continuations = {
      changed,
      prompt: input.kind === 'chat' ? `${prompt}\n\n` : prompt,
      exact: '',
      altered: undefined,
    };
    let done = 0;
    const write = async (
      more: Partial<GenerateRequest>,
      show: (text: string) => Partial<Continuations>,
    ): Promise<void> => {
      let text = '';
      let timer: ReturnType<typeof setTimeout> | undefined;
      const draw = (): void => {
        timer = undefined;
        shown = { ...shown, ...show(text) };
        continuations.value = shown;
        onProgress(done, 2 * maxTokens);
      };
      let over = false;
      const onEvent = (event: GenerateEvent): void => {
        if (event.type !== 'token' || over) return;
        text += event.token.text;
        done++;
        timer ??= setTimeout(draw, SHOW_EVERY_MS);
      };
      draw();
      try {
        ({ text } = await engine.generate({ ...request, ...more }, proxy(onEvent)));
      } finally {
        over = true;
        clearTimeout(timer);
      }
      draw();
      continueRun();
    };
    await write({}, (exact) => ({ exact }));
    done = maxTokens;
    await write({ ablation }, (altered) => ({ altered }));
    announcement.value = 'Both texts are written.';
  });
}

/** Reads the text with the ablation, and before that, where that is not known yet, without. */
export function measureBoth(): Promise<void> {
  const { text } = setup.value;
  const ablation = currentAblation();
  const changed = currentChange();
  return runExperiment('measuring', async (onProgress) => {
    const key = measuringKey();
    const known = measuredBefore() ? measured.value : undefined;
    const times = known ? 1 : 2;
    let before = 0;
    const score = async (more: { ablation?: AblationOptions }): Promise<ScoreResult> => {
      const result = await engine.score(
        { input: { kind: 'text', text }, context: scoreWindow(), ...more },
        proxy((done, total) => onProgress(before + done, times * total)),
      );
      continueRun();
      before += result.tokens;
      return result;
    };
    const { exact, rows } = known ?? { exact: await score({}), rows: [] };
    measured.value = { key, exact, rows };
    const altered = await score({ ablation });
    const row = { id: JSON.stringify(ablation), changed, exact: exact.perplexity, altered: altered.perplexity };
    measured.value = { key, exact, rows: [...rows.filter(({ id }) => id !== row.id), row] };
    announcement.value = `${changed}: perplexity ${row.altered.toFixed(2)}; of the true model ${row.exact.toFixed(2)}.`;
  });
}

/** @throws MixtabError `aborted` where the user stopped: the engine ends one request, not those that follow */
function continueRun(): void {
  if (stopping.value) throw aborted();
}
