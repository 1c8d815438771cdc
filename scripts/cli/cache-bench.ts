/** `bench`: the hit rates of cache policies on the experts that a text selects. */
import type { LayerRouting } from '../../src/contract/engine-api.ts';
import { agedLfu, belady, layerTraces, lru, type Policy } from '../../workers/experts/replay.ts';

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
}

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
  return { tokens: layers[0].length, hitRates };
}

/** Formats the hit rates as a Markdown table. */
export function cacheBenchTable({ hitRates }: CacheBench): string {
  const names = Object.keys(POLICIES);
  const percent = (rate: number): string => `${(100 * rate).toFixed(1)} %`;
  return [
    `| slots per layer | ${names.join(' | ')} |`,
    `|---|${names.map(() => '---').join('|')}|`,
    ...hitRates.map(({ slots, rates }) => `| ${slots} | ${names.map((name) => percent(rates[name])).join(' | ')} |`),
  ].join('\n');
}
