/**
 * The laboratory of the experts view, as signals: what the user changes about the model, and the comparisons so far.
 * None of it reaches a conversation. The view changes the setup, services/laboratory.ts the results.
 */
import { signal } from '@preact/signals';
import type { AblationOptions, ScoreResult } from '../../contract/engine-api.ts';
import { type Bans, bannedList, describeAblation } from './ablation.ts';
import { PRESETS, type Preset } from './generation-settings.ts';
import { loaded } from './models.ts';
import { SAMPLE_TEXT } from './text-routing.ts';

/** What the user has set. */
export interface Setup {
  /** undefined: as many as the model uses. */
  expertsUsed: number | undefined;
  /** Experts are drawn at random. */
  random: boolean;
  /** Seeds the random experts, and the sampling of both texts. */
  seed: number;
  /** Bans hold for one model, because another model has other experts. */
  bans: { modelId: string; ids: Bans };
  prompt: string;
  preset: Preset;
  maxTokens: number;
  text: string;
}

/** The laboratory's settings. They are lost on a reload. */
export const setup = signal<Setup>({
  expertsUsed: undefined,
  random: false,
  seed: 1,
  bans: { modelId: '', ids: new Set() },
  prompt: 'Once upon a time',
  preset: PRESETS[0],
  maxTokens: 60,
  text: SAMPLE_TEXT,
});

/** Changes some of the laboratory's settings. */
export function changeSetup(changes: Partial<Setup>): void {
  setup.value = { ...setup.value, ...changes };
}

/** The banned experts of the loaded model. */
export function currentBans(): Bans {
  const { modelId, ids } = setup.value.bans;
  return modelId === loaded.value?.summary.id ? ids : new Set();
}

/** Replaces the banned experts of the loaded model. */
export function setBans(ids: Bans): void {
  if (loaded.value) changeSetup({ bans: { modelId: loaded.value.summary.id, ids } });
}

/** The setup as engine options for the loaded model; empty if nothing is changed. */
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

/** The ablation in words; empty if nothing is changed. */
export const currentChange = (): string =>
  describeAblation(currentAblation(), loaded.value?.summary.config.layerCount ?? 0);

/** One prompt continued by the exact and by the altered model. */
export interface Continuations {
  /** The ablation in words. */
  changed: string;
  prompt: string;
  exact: string;
  /** undefined until the exact model is done. */
  altered: string | undefined;
}

/** Perplexity of one text under the exact and under an altered model. */
export interface Measurement {
  /** Equal for equal ablations. */
  id: string;
  /** The ablation in words. */
  changed: string;
  exact: number;
  altered: number;
}

/** The newest comparison of generated texts. */
export const continuations = signal<Continuations | undefined>(undefined);
/** Measurements of one text with one model, newest last. `key` names that text and model. */
export const measured = signal<{ key: string; exact: ScoreResult; rows: Measurement[] } | undefined>(undefined);
