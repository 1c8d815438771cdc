import { describe, expect, it } from 'vitest';
import { RESIDENCE } from '../../src/contract/engine-api.ts';
import { expertIndex, layerIndex } from '../../src/contract/ids.ts';
import { expertKey } from '../format/manifest.ts';
import { onePart, type RecordParts } from '../format/record-parts.ts';
import { ExpertCache } from './expert-cache.ts';
import type { SlotMemory } from './slot-memory.ts';

const L0 = layerIndex(0);
const L1 = layerIndex(1);
const E = expertIndex;
const SIZE = 8;
const nextTask = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));

/** A cache for two layers of four experts, with a store that records reads and slots that record uploads. */
function createCache({ slots = 1, ramBytes = 0, failUploads = 0, readMs = 0 } = {}) {
  const reads: number[] = [];
  const uploaded: RecordParts[] = [];
  const recycled: RecordParts[] = [];
  const forgotten: RecordParts[] = [];
  let failing = failUploads;
  const memory: SlotMemory = {
    expertCount: 4,
    residence: RESIDENCE.gpu,
    kernelSlotOf: (_: number, slot: number) => slot,
    setSlot: () => {},
    upload: (_: number, __: number, record: RecordParts) => {
      if (failing-- > 0) throw new RangeError('no memory');
      expect(recycled).not.toContain(record);
      uploaded.push(record);
    },
    forget: (record) => forgotten.push(record),
  };
  const read = async (_: number, expert: number): Promise<RecordParts> => {
    reads.push(expert);
    if (readMs > 0) await new Promise((resolve) => setTimeout(resolve, readMs));
    return onePart(new Uint8Array(SIZE));
  };
  const cache = new ExpertCache({
    memory,
    pools: [L0, L1].map((layer) => ({ layers: [layer], slots })),
    expertsPerToken: 1,
    readExpert: read,
    ramBudgetBytes: ramBytes,
    recycle: (record) => recycled.push(record),
  });
  return { cache, reads, uploaded, recycled, forgotten };
}

describe('an uploaded record', () => {
  it('is recycled if main memory does not keep it', async () => {
    const { cache, uploaded, recycled } = createCache({ slots: 2 });
    await cache.loadAll(L0, [E(0), E(1)]);
    expect(recycled).toEqual(uploaded);
    expect(recycled).toHaveLength(2);
  });

  it('is recycled only when main memory evicts it', async () => {
    const { cache, uploaded, recycled } = createCache({ ramBytes: SIZE });
    await cache.loadAll(L0, [E(0)]);
    expect(recycled).toEqual([]);
    await cache.loadAll(L0, [E(1)]);
    expect(recycled).toHaveLength(1);
    expect(recycled[0]).toBe(uploaded[0]);
  });

  it('is read again for a late caller if its memory was recycled meanwhile', async () => {
    const { cache, reads, uploaded } = createCache({ slots: 2 });
    let release = (): void => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const late = cache.loadAll(L0, [E(0)], () => released);
    cache.prefetch([{ layer: L0, experts: [E(0)] }]); // shares the read, and uploads its record first
    await nextTask();
    expect(cache.slotOf(L0, E(0))).toBeDefined();
    await cache.loadAll(L0, [E(1)]);
    cache.prefetch([]);
    await cache.loadAll(L0, [E(2)]); // evicts expert 0
    expect(cache.slotOf(L0, E(0))).toBeUndefined();
    release();
    await late;
    expect(cache.slotOf(L0, E(0))).toBeDefined();
    expect(reads).toEqual([0, 1, 2, 0]);
    expect(uploaded).toHaveLength(4);
  });
});

it('a record that was read and is not uploaded is forgotten by the slots', async () => {
  const { cache, uploaded, forgotten } = createCache();
  const ended = cache.loadAll(L0, [E(0)], () => Promise.reject(new Error('the answer has ended')));
  await expect(ended).rejects.toThrow('the answer has ended');
  expect(forgotten).toHaveLength(1);
  cache.prefetchRecords(L1, [E(1)]);
  await nextTask();
  expect(forgotten).toHaveLength(1); // it waits
  cache.cancelPrefetches(L1);
  await nextTask();
  expect(forgotten).toHaveLength(2);
  expect(new Set(forgotten).size).toBe(2);
  expect(uploaded).toEqual([]);
});

/**
 * A cache with two slots per layer, filled with experts 0 and 1. Further reads end when the test calls `end`, or when
 * they are cancelled.
 */
async function heldCache(ramBytes = 0) {
  const reads: string[] = [];
  const cancelled: string[] = [];
  const uploads: number[] = [];
  const ends = new Map<string, () => void>();
  let held = false;
  const memory: SlotMemory = {
    expertCount: 4,
    residence: RESIDENCE.gpu,
    kernelSlotOf: (_: number, slot: number) => slot,
    setSlot: () => {},
    upload: (id: number) => uploads.push(id),
  };
  const read = async (layer: number, expert: number, signal: AbortSignal): Promise<RecordParts> => {
    const key = expertKey(layer, expert);
    if (held) {
      reads.push(key);
      await new Promise<void>((resolve, reject) => {
        ends.set(key, resolve);
        signal.addEventListener('abort', () => {
          cancelled.push(key);
          reject(new Error('cancelled'));
        });
      });
    }
    return onePart(new Uint8Array(SIZE));
  };
  const recycled: RecordParts[] = [];
  const pools = [L0, L1].map((layer) => ({ layers: [layer], slots: 2 }));
  const cache = new ExpertCache({
    memory,
    pools,
    expertsPerToken: 1,
    readExpert: read,
    ramBudgetBytes: ramBytes,
    recycle: (record) => recycled.push(record),
  });
  for (const layer of [L0, L1]) await cache.loadAll(layer, [E(0), E(1)]);
  held = true;
  uploads.length = recycled.length = 0;
  const end = async (key: string): Promise<void> => {
    ends.get(key)!();
    await nextTask();
  };
  return { cache, reads, cancelled, uploads, recycled, end };
}

describe('a prediction', () => {
  it('is read after the needed experts, and has a slot when its layer comes', async () => {
    const { cache, reads, uploads, end } = await heldCache();
    expect(cache.recordAccess(L0, [0, 2])).toEqual({ missing: 1, prefetchHits: 0 });
    const loads = cache.loadAll(L0, [E(0), E(2)]);
    cache.prefetch([{ layer: L1, experts: [E(3), E(0)] }]);
    await nextTask();
    expect(reads).toEqual(['L0.E2']);
    await end('L0.E2');
    await loads;
    expect(reads).toEqual(['L0.E2', 'L1.E3']);
    await end('L1.E3');
    expect(uploads).toEqual([2, 4 + 3]);
    expect(cache.recordAccess(L1, [0, 3])).toEqual({ missing: 0, prefetchHits: 1 });
    expect(cache.report()).toMatchObject({ misses: 2, prefetched: 1 });
  });

  it('continues as a demand if it is right, and is cancelled, neither uploaded nor kept, if it is wrong', async () => {
    const { cache, reads, cancelled, uploads, end } = await heldCache(10 * SIZE);
    const { ramBytes } = cache;
    cache.prefetch([{ layer: L0, experts: [E(2), E(3)] }]);
    expect(cache.recordAccess(L0, [0, 3])).toEqual({ missing: 1, prefetchHits: 0 });
    const loads = [cache.loadAll(L0, [E(0), E(3)])];
    expect(cancelled).toEqual(['L0.E2']);
    expect(reads).toEqual(['L0.E2', 'L0.E3']);
    await end('L0.E3');
    cache.prefetch([{ layer: L1, experts: [E(3)] }]);
    expect(cache.recordAccess(L1, [0, 3])).toEqual({ missing: 1, prefetchHits: 0 });
    loads.push(cache.loadAll(L1, [E(0), E(3)]));
    await end('L1.E3');
    await Promise.all(loads);
    expect(reads).toEqual(['L0.E2', 'L0.E3', 'L1.E3']);
    expect(cancelled).toEqual(['L0.E2']);
    expect(uploads).toEqual([3, 4 + 3]);
    expect(cache.ramBytes).toBe(ramBytes + 2 * SIZE);
  });

  it('is cancelled when it is no longer predicted', async () => {
    const { cache, reads, cancelled } = await heldCache();
    cache.prefetch([{ layer: L1, experts: [E(2)] }]);
    cache.prefetch([{ layer: L1, experts: [E(3), E(0)] }]);
    await nextTask();
    expect(cancelled).toEqual(['L1.E2']);
    expect(reads).toEqual(['L1.E2', 'L1.E3']);
  });
});

describe('a prediction for the layer after the next', () => {
  const predictions = [
    { layer: L0, experts: [E(3)] },
    { layer: L1, experts: [E(2), E(3)] },
  ];
  /** Runs layer 0 of a token whose prediction was right, and came `late` or in time. */
  const passLayer0 = async ({ cache, end }: Awaited<ReturnType<typeof heldCache>>, late: boolean): Promise<void> => {
    await cache.loadAll(L1, [E(0), E(1)]);
    cache.prefetch([{ layer: L0, experts: [E(2), E(0)] }]);
    if (!late) await end('L0.E2');
    cache.recordAccess(L0, [0, 2]);
    const loads = cache.loadAll(L0, [E(0), E(2)]);
    if (late) await end('L0.E2');
    await loads;
  };

  it('is read only if those for the next layer come too late', async () => {
    const held = await heldCache();
    await passLayer0(held, false);
    held.cache.prefetch(predictions);
    await held.end('L0.E3');
    expect(held.reads).toEqual(['L0.E2', 'L0.E3']);

    const slow = await heldCache();
    await passLayer0(slow, true);
    slow.cache.prefetch(predictions);
    await slow.end('L0.E3');
    expect(slow.reads).toEqual(['L0.E2', 'L0.E3', 'L1.E2']);
  });

  it('gets no slot before its layer is the next one, and is recycled if it was wrong', async () => {
    const held = await heldCache();
    const { cache, uploads, recycled, end } = held;
    await passLayer0(held, true);
    cache.prefetch([
      { layer: L0, experts: [] },
      { layer: L1, experts: [E(2), E(3)] },
    ]);
    await end('L1.E2');
    await end('L1.E3');
    expect(uploads).toEqual([2]);
    expect(recycled).toHaveLength(1);
    cache.prefetch([{ layer: L1, experts: [E(3), E(0)] }]);
    await nextTask();
    expect(uploads).toEqual([2, 4 + 3]);
    expect(recycled).toHaveLength(3);
    expect(cache.recordAccess(L1, [0, 3])).toEqual({ missing: 0, prefetchHits: 1 });
  });
});

describe('an upload that fails', () => {
  it('leaves the expert without a slot, and is repeated when the expert is needed again', async () => {
    const { cache, reads } = createCache({ failUploads: 1 });
    await expect(cache.loadAll(L0, [E(2)])).rejects.toThrow('no memory');
    expect(cache.slotOf(L0, E(2))).toBeUndefined();
    await cache.loadAll(L0, [E(2)]);
    expect(cache.slotOf(L0, E(2))).toBeDefined();
    expect(reads).toEqual([2, 2]);
  });
});

describe('a closed cache', () => {
  it('uploads nothing that is still being read', async () => {
    const { cache, uploaded } = createCache();
    cache.prefetch([{ layer: L0, experts: [E(0)] }]);
    const needed = cache.loadAll(L0, [E(1)]);
    cache.close();
    await expect(needed).rejects.toMatchObject({ code: 'aborted' });
    await nextTask();
    expect(uploaded).toEqual([]);
  });
});

describe('expectedMissedLayers', () => {
  it('assumes that all experts are selected equally often', async () => {
    const { cache } = createCache({ slots: 4 });
    expect(cache.expectedMissedLayers(2)).toBe(2);
    await cache.loadAll(L1, [E(0), E(1), E(2), E(3)]);
    expect(cache.expectedMissedLayers(2)).toBe(1);
    await cache.loadAll(L0, [E(0), E(1), E(2)]);
    expect(cache.expectedMissedLayers(1)).toBeCloseTo(1 / 4);
    expect(cache.expectedMissedLayers(2)).toBeCloseTo(1 / 2); // 3 of the 6 pairs are resident
    await cache.loadAll(L0, [E(3)]);
    expect(cache.expectedMissedLayers(2)).toBe(0);
  });
});
