/**
 * Selects the experts of a token by its router logits, with the options of a request: see shaders/router.wgsl, which
 * does the same on the GPU. Pure.
 */
import type { ExpertId, LayerIndex } from '../../../src/contract/ids.ts';
import type { RouterStateOptions } from '../compute.ts';
import { NOISE_MEAN, noiseStep } from '../router-noise.ts';
import { threefry2x32 } from './threefry.ts';

/** The experts of one token in one layer. */
export interface Route {
  /** u32[expertsPerToken], best first. A skipped expert is replaced by the first one, with weight 0. */
  selectedExperts: Uint32Array<ArrayBuffer>;
  /** f32[expertsPerToken]: their weights, which add up to 1. */
  weights: Float32Array<ArrayBuffer>;
}

export interface RouterInputs {
  /** f32[expertCount] */
  logits: Float32Array;
  layer: LayerIndex;
  /** Position of the token in the KV cache. */
  position: number;
  expertsPerToken: number;
  options: RouterOptions;
  /** In decode, where the lossy options apply: whether an expert of the layer is resident. */
  isResident?: (expert: number) => boolean;
}

/** The options in the form in which the router uses them. */
export interface RouterOptions extends Omit<RouterStateOptions, 'banned' | 'noise'> {
  banned: ReadonlySet<number>;
  noise?: { step: number; seed: number };
}

/** Prepares the options for {@link selectExperts}. */
export function routerOptionsOf({ banned, noise, ...options }: RouterStateOptions): RouterOptions {
  return {
    ...options,
    banned: new Set<number>(banned),
    ...(noise && { noise: { step: noiseStep(noise.amount), seed: noise.seed } }),
  };
}

/** The experts with the largest logits. Of equal ones the lower index comes first, NaN and banned ones last. */
export function selectExperts(inputs: RouterInputs): Route {
  const { logits, layer, expertsPerToken, options, isResident } = inputs;
  const { choicesSkipped = 0, replaced } = options;
  const ranks: number[] = [];
  for (let expert = 0; expert < logits.length; expert++) ranks.push(rankOf(inputs, expert));
  const order = ranks.map((_, expert) => expert).sort((a, b) => compare(ranks[a], ranks[b]) || a - b);
  // If fewer are left than are picked, the first one takes the places that are not used anyway.
  const selectedExperts = new Uint32Array(expertsPerToken).fill(order[choicesSkipped]);
  selectedExperts.set(order.slice(choicesSkipped, choicesSkipped + expertsPerToken));
  // A bias changes the selection, never the weights. So the first expert may not have the largest logit.
  let largest = Number.NEGATIVE_INFINITY;
  for (const expert of selectedExperts) largest = Math.max(largest, logits[expert]);
  const exponentials: number[] = [];
  for (const expert of selectedExperts) exponentials.push(Math.exp(logits[expert] - largest));
  const sum = exponentials.reduce((a, b) => a + b);
  const used = options.expertsUsed || expertsPerToken;
  const skipBelow = isResident ? (options.skipBelow ?? 0) : 0;
  const isSkipped = exponentials.map((e, rank) => rank >= used || (rank > 0 && e / sum < skipBelow));
  const kept = exponentials.reduce((total, e, rank) => (isSkipped[rank] ? total : total + e), 0);
  for (let rank = 1; rank < expertsPerToken; rank++) if (isSkipped[rank]) selectedExperts[rank] = selectedExperts[0];
  const weights = new Float32Array(exponentials.length);
  for (const [rank, e] of exponentials.entries()) weights[rank] = isSkipped[rank] ? 0 : e / kept;
  if (!replaced) return { selectedExperts, weights };
  const standIn = (expert: number): number => replaced.get((layer * logits.length + expert) as ExpertId) ?? expert;
  return { selectedExperts: selectedExperts.map(standIn), weights };
}

/** What experts are ranked by: larger is better. */
function rankOf({ logits, layer, position, options, isResident }: RouterInputs, expert: number): number {
  if (options.banned.has(layer * logits.length + expert)) return Number.NaN;
  if (options.randomSeed !== undefined) {
    return (threefry2x32([options.randomSeed >>> 0, layer], [position, expert])[0] | 1) >>> 0;
  }
  // As the GPU does it, sums are rounded to f32.
  let score = logits[expert];
  const { noise, residentBias = 0 } = options;
  if (noise) score = Math.fround(score + noiseUnits([noise.seed >>> 0, layer], [position, expert]) * noise.step);
  if (isResident && residentBias !== 0 && isResident(expert)) score = Math.fround(score + residentBias);
  return score;
}

/** The sum of the eight bytes of a draw, less its mean. */
function noiseUnits(key: [number, number], counter: [number, number]): number {
  let sum = 0;
  for (const word of threefry2x32(key, counter)) {
    sum += (word & 255) + ((word >>> 8) & 255) + ((word >>> 16) & 255) + (word >>> 24);
  }
  return sum - NOISE_MEAN;
}

/** Orders ranks from best to worst, NaN last. */
function compare(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  return a === b ? 0 : b - a;
}
