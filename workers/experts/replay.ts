/**
 * Replays recorded routing through cache policies: how many of the experts asked for are in their layer's slots. Pure.
 * For choosing a policy (docs/streaming.md); the engine itself uses `SlotResidency`.
 */
import type { ExpertId } from '../../src/contract/ids.ts';
import { SlotResidency } from './residency.ts';

/** Experts that one layer's tokens chose, token by token. */
export type LayerTrace = readonly (readonly number[])[];

/** Hits among all choices of a trace, with so many slots. */
export type Policy = (trace: LayerTrace, slots: number) => number;

/** @param selectedExperts u8[tokens, layers, expertsPerToken], as `score` records it */
export function layerTraces(selectedExperts: Uint8Array, layerCount: number, expertsPerToken: number): LayerTrace[] {
  const tokens = selectedExperts.length / (layerCount * expertsPerToken);
  return Array.from({ length: layerCount }, (_, layer) =>
    Array.from({ length: tokens }, (_, t) => {
      const at = (t * layerCount + layer) * expertsPerToken;
      return [...selectedExperts.subarray(at, at + expertsPerToken)];
    }),
  );
}

/** The engine's own: least frequently used, where after `halfLife` tokens a use counts half. */
export const agedLfu =
  (halfLife: number): Policy =>
  (trace, slots) => {
    const residency = new SlotResidency(slots, halfLife * (trace[0]?.length ?? 1));
    let hits = 0;
    for (const chosen of trace) {
      const experts = chosen as readonly ExpertId[];
      for (const expert of experts) {
        if (residency.slotOf(expert) !== undefined) hits++;
        residency.touch(expert);
      }
      for (const expert of experts) {
        if (residency.slotOf(expert) === undefined) residency.assign(expert, new Set(experts));
      }
    }
    return hits;
  };

/** Least recently used: uses are forgotten at once. */
export const lru: Policy = agedLfu(0.25);

/** Belády's optimum: what is used again last goes. No policy without knowledge of the future does better. */
export const belady: Policy = (trace, slots) => {
  const uses = new Map<number, number[]>();
  for (const [t, chosen] of trace.entries())
    for (const expert of chosen) uses.set(expert, [...(uses.get(expert) ?? []), t]);
  const resident = new Set<number>();
  let hits = 0;
  for (const [t, chosen] of trace.entries()) {
    for (const expert of chosen) {
      uses.get(expert)!.shift();
      if (resident.has(expert)) hits++;
    }
    for (const expert of chosen) {
      if (resident.has(expert)) continue;
      if (resident.size === slots)
        resident.delete(smallest(resident, chosen, (other) => t - (uses.get(other)?.[0] ?? Infinity)));
      resident.add(expert);
    }
  }
  return hits;
};

/** The resident with the smallest value; one that the token needs is never taken. */
function smallest(resident: ReadonlySet<number>, chosen: readonly number[], value: (expert: number) => number): number {
  let victim = -1;
  for (const expert of resident) {
    if (chosen.includes(expert)) continue;
    if (victim < 0 || value(expert) < value(victim)) victim = expert;
  }
  if (victim < 0) throw new RangeError('a token needs more experts than there are slots');
  return victim;
}
