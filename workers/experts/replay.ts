/**
 * Replays recorded routing through cache policies, to compare their hit rates. Pure. Only used to choose a policy (see
 * docs/measurements/streaming.md); the engine itself uses `ResidencyPolicy`. How to try another one: see the README.
 */
import type { ExpertId } from '../../src/contract/ids.ts';
import { ResidencyPolicy } from './residency-policy.ts';

/** The experts that each token selected in one layer, token by token. */
export type LayerTrace = readonly (readonly number[])[];

/** Returns how many of the selected experts of a trace are in one of `slots` slots when they are needed. */
export type Policy = (trace: LayerTrace, slots: number) => number;

/** @param selectedExperts u8[tokens, layers, expertsPerToken], as `score` records it */
export function layerTraces(selectedExperts: Uint8Array, layerCount: number, expertsPerToken: number): LayerTrace[] {
  const tokens = selectedExperts.length / (layerCount * expertsPerToken);
  return Array.from({ length: layerCount }, (_, layer) =>
    Array.from({ length: tokens }, (_, t) => {
      const start = (t * layerCount + layer) * expertsPerToken;
      return [...selectedExperts.subarray(start, start + expertsPerToken)];
    }),
  );
}

/** The engine's policy: least frequently used, where a use counts half after `halfLife` tokens. */
export const agedLfu =
  (halfLife: number): Policy =>
  (trace, slots) => {
    const policy = new ResidencyPolicy(slots, halfLife * (trace[0]?.length ?? 1));
    let hits = 0;
    for (const selected of trace) {
      const experts = selected as readonly ExpertId[];
      for (const expert of experts) {
        if (policy.slotOf(expert) !== undefined) hits++;
        policy.touch(expert);
      }
      for (const expert of experts) {
        if (policy.slotOf(expert) === undefined) policy.assign(expert, new Set(experts));
      }
    }
    return hits;
  };

/** Least recently used, as the limit of {@link agedLfu} for a very short half-life. */
export const lru: Policy = agedLfu(0.25);

/**
 * How main memory works beside the slots. `inclusive`: it keeps the records that were read last, most of which are in a
 * slot too; this is what the engine does. `exclusive`: it keeps what lost its slot, and a record that gets a slot gives
 * way. The second is a bound: slots cannot be read back cheaply, so the engine would have to keep the right copies.
 */
export type RamTierKind = 'inclusive' | 'exclusive';

/**
 * Replays a trace through slots with the engine's policy and main memory behind them.
 * @param ramRecords experts of this layer that main memory can hold
 * @returns how many of the selected experts were in a slot, and how many others in main memory
 */
export function replayTwoTiers(
  trace: LayerTrace,
  slots: number,
  ramRecords: number,
  kind: RamTierKind,
): { slotHits: number; ramHits: number } {
  const policy = new ResidencyPolicy(slots, 64 * (trace[0]?.length ?? 1));
  const ram = new Set<ExpertId>(); // least recently used first
  const keep = (expert: ExpertId): void => {
    ram.delete(expert);
    ram.add(expert);
    if (ram.size > ramRecords) ram.delete(ram.values().next().value!);
  };
  const counts = { slotHits: 0, ramHits: 0 };
  for (const selected of trace) {
    const experts = selected as readonly ExpertId[];
    for (const expert of experts) {
      if (policy.slotOf(expert) !== undefined) counts.slotHits++;
      else if (ram.has(expert)) counts.ramHits++;
      policy.touch(expert);
    }
    for (const expert of experts) {
      if (policy.slotOf(expert) !== undefined) continue;
      const { evicted } = policy.assign(expert, new Set(experts));
      if (kind === 'inclusive') keep(expert);
      else {
        ram.delete(expert);
        if (evicted !== undefined) keep(evicted);
      }
    }
  }
  return counts;
}

/** Belady's optimum: evicts the expert whose next use is furthest away. No policy can do better. */
export const belady: Policy = (trace, slots) => {
  const upcomingUses = new Map<number, number[]>();
  for (const [t, selected] of trace.entries()) {
    for (const expert of selected) upcomingUses.set(expert, [...(upcomingUses.get(expert) ?? []), t]);
  }
  const resident = new Set<number>();
  let hits = 0;
  for (const selected of trace) {
    for (const expert of selected) {
      upcomingUses.get(expert)!.shift();
      if (resident.has(expert)) hits++;
    }
    for (const expert of selected) {
      if (resident.has(expert)) continue;
      if (resident.size === slots) {
        resident.delete(furthest(resident, selected, (other) => upcomingUses.get(other)?.[0] ?? Infinity));
      }
      resident.add(expert);
    }
  }
  return hits;
};

/** The resident expert whose next use is latest, leaving out those that the token needs. */
function furthest(
  resident: ReadonlySet<number>,
  selected: readonly number[],
  nextUse: (expert: number) => number,
): number {
  let victim = -1;
  for (const expert of resident) {
    if (selected.includes(expert)) continue;
    if (victim < 0 || nextUse(expert) > nextUse(victim)) victim = expert;
  }
  if (victim < 0) throw new RangeError('a token needs more experts than there are slots');
  return victim;
}
