/** `bench`: the hit rates of cache policies on the experts that a text selects. */
import type { LayerRouting } from '../../src/contract/engine-api.ts';
import {
  agedLfu,
  belady,
  type LayerTrace,
  layerTraces,
  lru,
  type Policy,
  type RamSource,
  replayTwoTiers,
} from '../../workers/experts/replay.ts';

const POLICIES: Record<string, Policy> = {
  LRU: lru,
  'LFU, aged over 16 tokens': agedLfu(16),
  'LFU, aged over 64 tokens': agedLfu(64),
  'LFU, aged over 256 tokens': agedLfu(256),
  'optimum (Belady)': belady,
};

/** The output of `bench --json`. */
export interface CacheBench {
  tokens: number;
  /** Hit rate of each policy, by the number of slots per layer. */
  hitRates: { slots: number; rates: Record<string, number> }[];
  /** Share of the selected experts that need no read from the store, with two more of them per layer in main memory. */
  withRam: { slots: number; rates: Record<RamSource, number> }[];
}

/** Experts per layer in main memory, for the second table. */
const RAM_RECORDS = 2;

/**
 * Replays the trace of a scored text for every number of slots that is too small for all experts.
 * @param trace u8[tokens, layers, expertsPerToken]
 */
export function cacheBench(
  routing: readonly LayerRouting[],
  trace: ArrayLike<number>,
  expertsPerToken: number,
): CacheBench {
  const expertCount = routing[0].use.length;
  const bytes = Uint8Array.from(trace);
  const layers = layerTraces(bytes, routing.length, expertsPerToken);
  const requests = bytes.length;
  const hitRates = [];
  for (let slots = expertsPerToken; slots < expertCount; slots++) {
    const rates = Object.fromEntries(
      Object.entries(POLICIES).map(([name, policy]) => [
        name,
        layers.reduce((sum, layer) => sum + policy(layer, slots), 0) / requests,
      ]),
    );
    hitRates.push({ slots, rates });
  }
  const withRam = hitRates.map(({ slots }) => ({
    slots,
    rates: { reads: servedShare(layers, slots, 'reads'), copies: servedShare(layers, slots, 'copies') },
  }));
  return { tokens: layers[0].length, hitRates, withRam };
}

/** The share of the selected experts that are in a slot or in main memory. */
function servedShare(layers: readonly LayerTrace[], slots: number, source: RamSource): number {
  const counts = layers.map((layer) => replayTwoTiers(layer, slots, RAM_RECORDS, source));
  const requests = layers.reduce((sum, layer) => sum + layer.flat().length, 0);
  return counts.reduce((sum, { slotHits, ramHits }) => sum + slotHits + ramHits, 0) / requests;
}

const percent = (rate: number): string => `${(100 * rate).toFixed(1)} %`;

/** Formats the hit rates as Markdown tables. */
export function cacheBenchTable({ hitRates, withRam }: CacheBench): string {
  const names = Object.keys(POLICIES);
  return [
    policyTable(names, hitRates),
    '',
    `With ${RAM_RECORDS} experts per layer in main memory, not read from the store:`,
    '',
    '| slots per layer | kept when they are read (the engine) | copied from the slots (bound) |',
    '|---|---|---|',
    ...withRam.map(({ slots, rates }) => `| ${slots} | ${percent(rates.reads)} | ${percent(rates.copies)} |`),
  ].join('\n');
}

function policyTable(names: readonly string[], hitRates: CacheBench['hitRates']): string {
  return [
    `| slots per layer | ${names.join(' | ')} |`,
    `|---|${names.map(() => '---').join('|')}|`,
    ...hitRates.map(({ slots, rates }) => `| ${slots} | ${names.map((name) => percent(rates[name])).join(' | ')} |`),
  ].join('\n');
}
