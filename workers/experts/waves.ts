/** The order in which a prompt's experts of one layer are loaded and run. */
import { type ExpertIndex, expertIndex, type LayerIndex, layerIndex } from '../../src/contract/ids.ts';
import type { ModelConfig } from '../../src/contract/import-api.ts';
import type { ExpertCache } from './expert-cache.ts';

/** Experts that are loaded and computed together. Few, so that the next ones can be read in the meantime. */
const WAVE = 2;
/** With this many tokens, nearly every expert of the next layer will be needed, so prefetching them pays off. */
const PREFETCH_MIN_TOKENS = 16;

export interface WavesInputs {
  config: ModelConfig;
  experts: ExpertCache;
}

/**
 * Orders the experts of a layer into the waves in which they run.
 *
 * If every wave adds to the sum of those before it, that sum must not depend on which experts happen to be resident.
 * Zero plus two addends is the same in either order. So with up to two experts per token any order will do: resident
 * experts first, then a few at a time as they are loaded. With more, the waves are the same at every budget.
 * @param distinct ascending, each once
 * @param accumulating whether each wave is added to a sum, rather than all of them at the end in order of selection
 */
export function wavesOf(
  { config, experts }: WavesInputs,
  layer: LayerIndex,
  distinct: readonly ExpertIndex[],
  accumulating: boolean,
): ExpertIndex[][] {
  const { expertsPerToken } = config;
  // A layer has slots for the experts of one token at every budget.
  if (accumulating && expertsPerToken > 2) return inParts(distinct, expertsPerToken);
  const isResident = (expert: ExpertIndex): boolean => experts.slotOf(layer, expert) !== undefined;
  const resident = distinct.filter(isResident);
  const missing = distinct.filter((expert) => !isResident(expert));
  const slots = experts.slotCount(layer);
  return [...inParts(resident, slots), ...inParts(missing, Math.min(WAVE, slots))];
}

/**
 * Prefetches the next wave that misses experts, or else the first missing experts of the next layer.
 * @param tokens of the prompt
 */
export function prefetchAfter(
  { config, experts }: WavesInputs,
  layer: LayerIndex,
  wavesLeft: readonly ExpertIndex[][],
  tokens: number,
): void {
  const { layerCount, expertCount } = config;
  const isMissing = (l: LayerIndex, expert: ExpertIndex): boolean => experts.slotOf(l, expert) === undefined;
  const nextWave = wavesLeft.find((wave) => wave.some((expert) => isMissing(layer, expert)));
  if (nextWave) {
    experts.prefetchRecords(layer, nextWave);
    return;
  }
  const next = layerIndex(layer + 1);
  if (tokens < PREFETCH_MIN_TOKENS || next === layerCount) return;
  const all = Array.from({ length: expertCount }, (_, expert) => expertIndex(expert));
  experts.prefetchRecords(next, all.filter((expert) => isMissing(next, expert)).slice(0, WAVE));
}

/** Cuts a list into parts of `size` items; the last one may be shorter. */
export function inParts<T>(items: readonly T[], size: number): T[][] {
  const parts: T[][] = [];
  for (let start = 0; start < items.length; start += size) parts.push(items.slice(start, start + size));
  return parts;
}
