/**
 * The experiments of the laboratory: what each changes, in engine options and in a sentence for readers. Their controls
 * are choices of the address, so a link restores them. Pure.
 */
import type { AblationOptions } from '../../contract/engine-api.ts';
import type { ModelConfig } from '../../contract/import-api.ts';
import { type Bans, bannedList, bansFrom, describeAblation } from './ablation.ts';

type Shape = Pick<ModelConfig, 'layerCount' | 'expertCount' | 'expertsPerToken'>;

/** The experiments in the order of the page. `mix` combines others. */
export const EXPERIMENTS = ['first', 'second', 'random', 'ban', 'swap', 'one', 'noise', 'mix'] as const;
export type ExperimentId = (typeof EXPERIMENTS)[number];

/** What the reader has set, valid for the loaded model. */
export interface LabValues {
  /** Experts per token of the experiment `first`. */
  used: number;
  /** Seeds random experts, noise, and the sampling of texts. */
  seed: number;
  bans: Bans;
  /** The two experts that are swapped. */
  swap: readonly [number, number];
  /** The expert that computes for all. */
  one: number;
  /** Standard deviation of the noise. */
  noise: number;
  /** The experiments that `mix` combines. */
  mix: readonly ExperimentId[];
  /** The experiments to run. */
  set: readonly ExperimentId[];
}

/** The range of the noise's slider. */
export const NOISE = { min: 0.1, max: 8, step: 0.1 } as const;
export const MAX_SEED = 2 ** 32 - 1;

/** @returns the values that the choices of an address stand for; defaults in place of impossible ones */
export function labValues(choices: Readonly<Record<string, string>>, config: Shape): LabValues {
  const { expertCount, expertsPerToken } = config;
  const whole = (name: string, least: number, most: number, otherwise: number): number => {
    const value = choices[name] ? Number(choices[name]) : otherwise;
    return Number.isInteger(value) && value >= least && value <= most ? value : otherwise;
  };
  const last = expertCount - 1;
  const noise = Number(choices.noise ?? 1);
  const names = (text: string): ExperimentId[] => EXPERIMENTS.filter((id) => text.split(' ').includes(id));
  const a = whole('swap', 0, last, 0);
  const b = whole('with', 0, last, Math.min(1, last));
  return {
    used: whole('used', 1, Math.max(1, expertsPerToken - 1), 1),
    seed: whole('seed', 0, MAX_SEED, 1),
    bans: bansFrom(choices.ban ?? '0', config),
    swap: a === b ? [a, (a + 1) % expertCount] : [a, b],
    one: whole('one', 0, last, 0),
    noise: noise >= NOISE.min && noise <= NOISE.max ? noise : 1,
    mix: names(choices.mix ?? '').filter((id) => id !== 'mix' && isPossible(id, config)),
    set: choices.set === undefined ? EXPERIMENTS : names(choices.set),
  };
}

/** Whether a model is large enough for an experiment. */
export function isPossible(id: ExperimentId, { expertCount, expertsPerToken }: Shape): boolean {
  if (id === 'first' || id === 'second') return expertsPerToken > 1;
  if (id === 'ban') return expertCount > expertsPerToken;
  return expertCount > 1;
}

/** What an experiment changes; undefined if nothing is set yet. */
export function ablationOf(id: ExperimentId, values: LabValues, config: Shape): AblationOptions | undefined {
  const { used, seed, bans, swap, one, noise, mix } = values;
  switch (id) {
    case 'first':
      return { expertsUsed: used };
    case 'second':
      return { expertsUsed: 2, choicesSkipped: 1 };
    case 'random':
      return { randomSeed: seed };
    case 'ban':
      return bans.size > 0 ? { banned: bannedList(bans, config.expertCount) } : undefined;
    case 'swap':
      return { replaced: swap.map((expert, i) => ({ expert, by: swap[1 - i] })) };
    case 'one':
      return { replaced: [{ by: one }] };
    case 'noise':
      return { noise: { amount: noise, seed } };
    case 'mix': {
      const parts = mix.map((part) => ablationOf(part, values, config)).filter((part) => part !== undefined);
      return parts.length > 1 ? Object.assign({}, ...parts) : undefined;
    }
  }
}

/** Experiments that set the same part of the router, or of which one makes the other one irrelevant. */
const EXCLUSIVE: readonly (readonly ExperimentId[])[] = [
  ['first', 'second'],
  ['random', 'noise'],
  ['swap', 'one'],
];

/** Adds an experiment to a combination, without those that exclude it, or removes it. */
export function toggleInMix(mix: readonly ExperimentId[], id: ExperimentId): ExperimentId[] {
  if (mix.includes(id)) return mix.filter((other) => other !== id);
  const excluded = EXCLUSIVE.find((group) => group.includes(id)) ?? [];
  return EXPERIMENTS.filter((other) => other === id || (mix.includes(other) && !excluded.includes(other)));
}

/** One changed model to run. */
export interface LabChange {
  experiment: ExperimentId;
  /** Equal for equal changes. */
  key: string;
  /** The change in words. */
  name: string;
  ablation: AblationOptions;
}

/** @returns the change that an experiment makes; undefined if nothing is set yet, or the model is too small */
export function changeOf(id: ExperimentId, values: LabValues, config: Shape): LabChange | undefined {
  const ablation = isPossible(id, config) ? ablationOf(id, values, config) : undefined;
  if (!ablation) return undefined;
  const words = describeAblation(ablation, config.layerCount);
  return { experiment: id, key: JSON.stringify(ablation), name: words[0].toUpperCase() + words.slice(1), ablation };
}

/** @returns the changes of all experiments of the set, in the order of the page */
export const changesOf = (values: LabValues, config: Shape): LabChange[] =>
  values.set.map((id) => changeOf(id, values, config)).filter((change) => change !== undefined);
