import { describe, expect, it } from 'vitest';
import { RESIDENCE } from '../../src/contract/engine-api.ts';
import { type ExpertIndex, expertId, expertIndex, type LayerIndex, layerIndex } from '../../src/contract/ids.ts';
import { onePart, type RecordParts } from '../format/record-parts.ts';
import { CacheStatistics } from './cache-statistics.ts';
import type { ExpertLoader } from './expert-loader.ts';
import type { ExpertSlots } from './expert-slots.ts';
import { RamTier } from './ram-tier.ts';

const [L0, L1] = [layerIndex(0), layerIndex(1)];
const E = expertIndex;

/** Two layers of three experts: L0.E1 has a slot, L0.E1 and L1.E2 are in main memory. */
function createStatistics() {
  const ram = new RamTier<RecordParts>(100, { isSpare: () => false, score: () => 0 });
  for (const [layer, expert] of [
    [L0, E(1)],
    [L1, E(2)],
  ] as const)
    ram.offer(expertId(layer, expert, 3), onePart(new Uint8Array(10)));
  const isResident = (layer: number, expert: number): boolean => layer === 0 && expert === 1;
  const slots = {
    layerCount: 2,
    expertCount: 3,
    slotCount: 4,
    residence: RESIDENCE.gpu,
    isResident,
    idOf: (layer: LayerIndex, expert: ExpertIndex) => expertId(layer, expert, 3),
  } as unknown as ExpertSlots;
  const loader = { bytesRead: 20 };
  const statistics = new CacheStatistics({ slots, ram, loader: loader as unknown as ExpertLoader<RecordParts> });
  return { statistics, loader };
}

describe('CacheStatistics', () => {
  it('counts a predicted expert as a miss, whether its prefetch was in time or not', () => {
    const { statistics } = createStatistics();
    expect(statistics.report()).toMatchObject({ hits: 0, misses: 0, hitRate: 1 });
    statistics.recordAccess({ layer: L0, experts: [E(0), E(1)], missing: 1, missingButPrefetched: 1, prefetchHits: 0 });
    statistics.recordAccess({ layer: L1, experts: [E(0), E(1)], missing: 0, missingButPrefetched: 0, prefetchHits: 1 });
    statistics.countStall();
    expect(statistics.report()).toEqual({
      slots: 4,
      hits: 2,
      misses: 2,
      prefetched: 2,
      stalls: 1,
      hitRate: 0.5,
      bytesRead: 20,
    });
  });

  it('counts from the last reset', () => {
    const { statistics, loader } = createStatistics();
    statistics.recordAccess({ layer: L0, experts: [E(0)], missing: 1, missingButPrefetched: 0, prefetchHits: 0 });
    statistics.reset();
    loader.bytesRead = 50;
    expect(statistics.report()).toMatchObject({ hits: 0, misses: 0, bytesRead: 30 });
    expect([...statistics.residence().uses]).toEqual([0, 0, 0, 0, 0, 0]);
  });

  it('reports the fastest place of each expert, its uses, and the experts of the newest token', () => {
    const { statistics } = createStatistics();
    const access = { missing: 0, missingButPrefetched: 0, prefetchHits: 0 };
    for (const experts of [[E(0), E(1)], [E(1)]]) statistics.recordAccess({ layer: L0, experts, ...access });
    const { residence, uses, newest } = statistics.residence();
    expect([...residence]).toEqual([0, 2, 0, 0, 0, 1]);
    expect([...uses]).toEqual([1, 2, 0, 0, 0, 0]);
    expect([...newest]).toEqual([0, 1, 0, 0, 0, 0]);
  });
});
