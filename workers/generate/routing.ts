/** What can be told from the experts that tokens chose (Mixtral's paper, section 5). Pure. */
import type { LayerRouting } from '../../src/contract/engine-api.ts';

export interface RoutingTrace {
  /** u8[tokens, layers, expertsPerToken] */
  selectedExperts: Uint8Array;
  layerCount: number;
  expertsPerToken: number;
  expertCount: number;
  /** Tokens that begin a text: they follow nothing. */
  starts: ReadonlySet<number>;
}

/** Use of each expert, and how often consecutive tokens agree, layer by layer. */
export function routingOf({
  selectedExperts,
  layerCount,
  expertsPerToken: k,
  expertCount,
  starts,
}: RoutingTrace): LayerRouting[] {
  const tokens = selectedExperts.length / (layerCount * k);
  return Array.from({ length: layerCount }, (_, layer) => {
    const use = new Array<number>(expertCount).fill(0);
    let pairs = 0;
    let sameFirst = 0;
    let sameAny = 0;
    let before: Uint8Array | undefined;
    for (let t = 0; t < tokens; t++) {
      const at = (t * layerCount + layer) * k;
      const chosen = selectedExperts.subarray(at, at + k);
      for (const expert of chosen) use[expert] += 1 / (tokens * k);
      if (before && !starts.has(t)) {
        const last = before;
        pairs++;
        if (chosen[0] === last[0]) sameFirst++;
        if (chosen.some((expert) => last.includes(expert))) sameAny++;
      }
      before = chosen;
    }
    return { use, sameFirst: pairs ? sameFirst / pairs : 0, sameAny: pairs ? sameAny / pairs : 0 };
  });
}
