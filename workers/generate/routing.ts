/** Statistics of which experts tokens select (section 5 of the Mixtral paper). Pure. */
import type { LayerRouting } from '../../src/contract/engine-api.ts';
import type { ModelConfig } from '../../src/contract/import-api.ts';

/** Which experts consecutive tokens use. */
export interface RoutingTrace {
  /** u8[tokens, layerCount, expertsPerToken] */
  selectedExperts: Uint8Array;
  layerCount: number;
  expertsPerToken: number;
  expertCount: number;
  /** Indices of tokens that begin a text: they do not follow the token before them. */
  starts: Set<number>;
}

/** A trace of `tokens` tokens, to be filled by {@link recordSelection}. */
export const createTrace = (
  { layerCount, expertsPerToken, expertCount }: ModelConfig,
  tokens: number,
): RoutingTrace => ({
  selectedExperts: new Uint8Array(tokens * layerCount * expertsPerToken),
  layerCount,
  expertsPerToken,
  expertCount,
  starts: new Set(),
});

/** @param experts [expertsPerToken], best first */
export function recordSelection(trace: RoutingTrace, token: number, layer: number, experts: ArrayLike<number>): void {
  trace.selectedExperts.set(experts, (token * trace.layerCount + layer) * trace.expertsPerToken);
}

/** The usage of each expert, and how often consecutive tokens select the same ones, per layer. */
export function routingOf(trace: RoutingTrace): LayerRouting[] {
  return Array.from({ length: trace.layerCount }, (_, layer) => layerRouting(trace, layer));
}

function layerRouting(
  { selectedExperts, layerCount, expertsPerToken: k, expertCount, starts }: RoutingTrace,
  layer: number,
): LayerRouting {
  const tokens = selectedExperts.length / (layerCount * k);
  const use = new Array<number>(expertCount).fill(0);
  let pairs = 0;
  let sameFirst = 0;
  let sameAny = 0;
  let previous: Uint8Array | undefined;
  for (let t = 0; t < tokens; t++) {
    const offset = (t * layerCount + layer) * k;
    const experts = selectedExperts.subarray(offset, offset + k);
    for (const expert of experts) use[expert] += 1 / (tokens * k);
    if (previous && !starts.has(t)) {
      const before = previous;
      pairs++;
      if (experts[0] === before[0]) sameFirst++;
      if (experts.some((expert) => before.includes(expert))) sameAny++;
    }
    previous = experts;
  }
  return { use, sameFirst: pairs ? sameFirst / pairs : 0, sameAny: pairs ? sameAny / pairs : 0 };
}
