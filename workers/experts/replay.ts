/**
 * Replays recorded routing through cache policies, to compare their hit rates. Pure. Only used to choose a policy (see
 * docs/measurements/streaming.md); the engine itself uses `ResidencyPolicy`. How to try another one: see the README.
 */
import type { ExpertId } from '../../src/contract/ids.ts';
import { AgedUses } from './aged-uses.ts';
import { RamTier } from './ram-tier.ts';
import { nextVictimCount, ResidencyPolicy } from './residency-policy.ts';

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
 * Where main memory behind the slots gets its records. `reads`: from the records that are read, as in the engine.
 * `copies`: from the slots, each expert when it loses its slot; this is a bound, because slots cannot be read cheaply.
 */
export type RamSource = 'reads' | 'copies';

/** Where the selected experts were when they were needed, and how many were copied from the GPU. */
export interface TierCounts {
  slotHits: number;
  ramHits: number;
  /** 0 if the source is `reads`. */
  copies: number;
}

/**
 * Replays a trace through slots and main memory with the engine's policies.
 * @param ramRecords experts of this layer that main memory can hold
 */
export function replayTwoTiers(
  trace: LayerTrace,
  slots: number,
  ramRecords: number,
  source: RamSource = 'reads',
): TierCounts {
  const expertsPerToken = trace[0]?.length ?? 1;
  const halfLife = 64 * expertsPerToken;
  const policy = new ResidencyPolicy(slots, halfLife, nextVictimCount(slots, 1, expertsPerToken));
  const uses = new AgedUses(halfLife);
  const isResident = (expert: ExpertId): boolean => policy.slotOf(expert) !== undefined;
  const ram = new RamTier(ramRecords, {
    isSpare: (expert) => isResident(expert) && !(source === 'reads' && policy.isNextVictim(expert)),
    score: (expert) => uses.score(expert),
  });
  const counts: TierCounts = { slotHits: 0, ramHits: 0, copies: 0 };
  for (const selected of trace) {
    const experts = selected as readonly ExpertId[];
    for (const expert of experts) {
      if (isResident(expert)) counts.slotHits++;
      else if (ram.has(expert)) counts.ramHits++;
      policy.touch(expert);
      uses.touch(expert);
    }
    const missing = experts.filter((expert) => !isResident(expert));
    const inRam = missing.filter((expert) => ram.has(expert)); // they are there first
    for (const expert of new Set([...inRam, ...missing])) {
      const { evicted } = policy.assign(expert, new Set(experts));
      if (source === 'reads') ram.offer(expert, { byteLength: 1 });
      else if (evicted !== undefined && !ram.has(evicted)) {
        ram.offer(evicted, { byteLength: 1 });
        if (ram.has(evicted)) counts.copies++;
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
