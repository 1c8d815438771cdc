/** Slots and main memory together, held to a plain recount: what is read, what is kept, and where every record goes. */
import { describe, expect, it } from 'vitest';
import { RESIDENCE } from '../../src/contract/engine-api.ts';
import { MixtabError } from '../../src/contract/errors.ts';
import { type ExpertIndex, expertIndex, layerIndex } from '../../src/contract/ids.ts';
import { onePart, type RecordParts } from '../format/record-parts.ts';
import { ExpertCache } from './expert-cache.ts';
import { replayTwoTiers } from './replay.ts';
import type { SlotMemory } from './slot-memory.ts';
import { TierRecount, type TierShape } from './tier-recount-testing.ts';

const SIZE = 8;
const EXPERTS = 8;
const PER_TOKEN = 2;

/** Selected experts, [tokens][layers][PER_TOKEN]: some experts are used more than others, and which ones changes. */
function randomTrace(tokens: number, layers: number): ExpertIndex[][][] {
  let seed = 1;
  const random = (): number => {
    seed = (seed * 1103515245 + 12345) % 2 ** 31;
    return seed / 2 ** 31;
  };
  return Array.from({ length: tokens }, (_, t) =>
    Array.from({ length: layers }, (_, layer) => {
      const selected = new Set<ExpertIndex>();
      const favourite = layer + Math.floor(t / 50);
      while (selected.size < PER_TOKEN)
        selected.add(expertIndex((favourite + Math.floor(random() ** 2 * EXPERTS)) % EXPERTS));
      return [...selected];
    }),
  );
}

/** Slots without contents. @param onUpload receives each record that is uploaded to one */
const slotMemory = (onUpload: (record: RecordParts) => void = () => {}): SlotMemory => ({
  expertCount: EXPERTS,
  residence: RESIDENCE.gpu,
  kernelSlotOf: (_, slot) => slot,
  setSlot() {},
  upload: (_, __, record) => onUpload(record),
});

/** Runs a trace through the engine's cache. Checks after each layer that main memory is within its budget. */
async function run({ layers, slots, ramRecords }: TierShape, trace: ExpertIndex[][][]) {
  const reads: string[] = [];
  const live = new Set<RecordParts>();
  const cache = new ExpertCache({
    memory: slotMemory((record) => expect(live).toContain(record)),
    pools: Array.from({ length: layers }, (_, layer) => ({ layers: [layerIndex(layer)], slots })),
    expertsPerToken: PER_TOKEN,
    readExpert: async (layer, expert) => {
      reads.push(`${layer}.${expert}`);
      for (let n = 0; n < 20; n++) await undefined; // later than what is in main memory
      const record = onePart(new Uint8Array(SIZE));
      live.add(record);
      return record;
    },
    ramBudgetBytes: ramRecords * SIZE,
    recycle: (record) => expect(live.delete(record)).toBe(true),
  });
  for (const token of trace) {
    for (const [layer, experts] of token.entries()) {
      cache.recordAccess(layerIndex(layer), experts);
      await cache.loadAll(layerIndex(layer), experts);
      expect(cache.ramBytes).toBeLessThanOrEqual(ramRecords * SIZE);
      expect(live.size * SIZE).toBe(cache.ramBytes); // all others were recycled
    }
  }
  return { cache, reads };
}

/** What should be read. */
function recount(shape: TierShape, trace: ExpertIndex[][][]): string[] {
  const tiers = new TierRecount(shape);
  for (const token of trace) {
    for (const [layer, experts] of token.entries()) {
      for (const expert of experts) tiers.touch(layer, expert);
      for (const expert of tiers.load(layer, experts)) tiers.upload(layer, expert);
    }
  }
  return tiers.reads;
}

describe('slots and main memory', () => {
  it.each<TierShape>(
    [
      { layers: 3, slots: 2, ramRecords: 0 },
      { layers: 3, slots: 2, ramRecords: 5 },
      { layers: 3, slots: 3, ramRecords: 7 },
      { layers: 3, slots: 4, ramRecords: 12 },
      { layers: 1, slots: 3, ramRecords: 3 },
    ].map((shape) => ({ ...shape, expertsPerToken: PER_TOKEN })),
  )('read what a plain recount says: %o', async (tiers) => {
    const trace = randomTrace(150, tiers.layers);
    const { cache, reads } = await run(tiers, trace);
    const expected = recount(tiers, trace);
    expect(reads).toEqual(expected);
    expect(cache.report().bytesRead).toBe(expected.length * SIZE);
  });

  it('read what the replay of a layer predicts', async () => {
    const trace = randomTrace(300, 1);
    const tiers = { layers: 1, slots: 3, ramRecords: 3, expertsPerToken: PER_TOKEN };
    const { reads } = await run(tiers, trace);
    const layerTrace = trace.map(([experts]) => experts);
    const { slotHits, ramHits } = replayTwoTiers(layerTrace, tiers.slots, tiers.ramRecords);
    expect(reads.length).toBe(trace.length * PER_TOKEN - slotHits - ramHits);
    expect(ramHits).toBeGreaterThan(50);
  });

  it('are read with less main memory if it is short, and fail only if there is none left to give', async () => {
    let short = 0;
    const reads: number[] = [];
    const cache = new ExpertCache({
      memory: slotMemory(),
      pools: [{ layers: [layerIndex(0)], slots: 2 }],
      expertsPerToken: PER_TOKEN,
      readExpert: async (_, expert) => {
        reads.push(expert);
        if (short-- > 0) throw new MixtabError('memory-full', 'No memory.', '');
        return onePart(new Uint8Array(SIZE));
      },
      ramBudgetBytes: 4 * SIZE,
    });
    const load = (expert: number) => cache.loadAll(layerIndex(0), [expertIndex(expert)]);
    for (const expert of [0, 1, 2, 3]) await load(expert);
    expect(cache.ramBytes).toBe(4 * SIZE);
    short = 1;
    await load(4);
    expect([reads, cache.ramBytes]).toEqual([[0, 1, 2, 3, 4, 4], 2 * SIZE]);
    short = 10;
    await expect(load(5)).rejects.toMatchObject({ code: 'memory-full' });
    expect(cache.ramBytes).toBe(0);
    short = 0;
    await load(5);
    expect([cache.slotOf(layerIndex(0), expertIndex(5)) !== undefined, cache.ramBytes]).toEqual([true, 0]);
  });

  /** A device with memory for four records, where memory is free only once a record was recycled; never by garbage. */
  function shortOfMemory() {
    const live = new Set<RecordParts>();
    const reads: number[] = [];
    const cache = new ExpertCache({
      memory: slotMemory((record) => expect(live).toContain(record)),
      pools: [{ layers: [layerIndex(0)], slots: 2 }],
      expertsPerToken: PER_TOKEN,
      readExpert: async (_, expert) => {
        reads.push(expert);
        await undefined; // so that two reads are under way at once
        if (live.size === 4) throw new MixtabError('memory-full', 'No memory.', '');
        const record = onePart(new Uint8Array(SIZE));
        live.add(record);
        return record;
      },
      ramBudgetBytes: 4 * SIZE,
      recycle: (record) => expect(live.delete(record)).toBe(true),
    });
    const load = (experts: number[], ready?: () => Promise<void>) =>
      cache.loadAll(layerIndex(0), experts.map(expertIndex), ready);
    return { cache, reads, load };
  }

  it.each([
    [[4], [0, 1, 2, 3, 4, 4]],
    [
      [4, 5],
      [0, 1, 2, 3, 4, 5, 4, 5],
    ], // both fail for the same shortage, which halves main memory once
  ])('hand the reader the memory of half the records if it is short: experts %j', async (experts, expectedReads) => {
    const { cache, reads, load } = shortOfMemory();
    for (const expert of [0, 1, 2, 3]) await load([expert]);
    await load(experts);
    expect(reads).toEqual(expectedReads);
    expect(cache.ramBytes).toBe(2 * SIZE);
  });

  it('read an expert again whose record was handed to the reader while it waited for its upload', async () => {
    const { cache, reads, load } = shortOfMemory();
    for (const expert of [0, 1, 2, 3]) await load([expert]);
    cache.recordAccess(layerIndex(0), [1, 2, 3].map(expertIndex)); // so expert 0 is the least used one
    let upload = (): void => {};
    const ready = () =>
      new Promise<void>((resolve) => {
        upload = resolve;
      });
    const waiting = load([0], ready);
    await load([4]);
    expect(reads).toEqual([0, 1, 2, 3, 4, 4]);
    upload();
    for (let n = 0; n < 20; n++) await undefined;
    upload();
    await waiting;
    expect(reads).toEqual([0, 1, 2, 3, 4, 4, 0]);
    expect(cache.slotOf(layerIndex(0), expertIndex(0))).toBeDefined();
  });

  it('read every expert once if main memory holds all of them', async () => {
    const trace = randomTrace(200, 2);
    const { reads, cache } = await run({ layers: 2, slots: 2, ramRecords: 16, expertsPerToken: PER_TOKEN }, trace);
    expect(new Set(reads).size).toBe(reads.length);
    cache.close();
    expect(cache.ramBytes).toBe(0);
  });
});
