/** Damage is found by the checksum or by SHA-256, whichever a record has. */
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { PART_BYTES, type RecordInfo } from '../format/manifest.ts';
import { sha256Hex, startChecksum, xxh64Hex } from './hash.ts';
import { MemoryStore, MemoryValues } from './memory-store.ts';
import { inOrder, isIntact } from './record-check.ts';

const BYTES = new Uint8Array(PART_BYTES + 12345).map((_, i) => (i * 31) ^ (i >>> 12));
const intact = new MemoryValues();
let values: MemoryValues;
let record: RecordInfo;

beforeAll(async () => {
  const parts = await new MemoryStore(intact).putRecord('m', 'L0.E0', BYTES);
  const [sha256, xxh64] = await Promise.all([sha256Hex(BYTES), xxh64Hex(BYTES)]);
  record = { key: 'L0.E0', bytes: BYTES.byteLength, parts, sha256, xxh64: xxh64!, tensors: [] };
});
beforeEach(() => {
  values = new MemoryValues();
  for (const [key, value] of intact.entries) values.entries.set(key, value);
});
afterEach(() => vi.restoreAllMocks());

/** Reads with a store that has not read the record before. */
const readFirst = (info: RecordInfo) => new MemoryStore(values).readRecordVerified('m', info);

async function flipBit(at: number): Promise<void> {
  const key = `record/m/L0.E0/${String(Math.floor(at / PART_BYTES)).padStart(4, '0')}`;
  const part = new Uint8Array(await (values.entries.get(key) as Blob).arrayBuffer());
  part[at % PART_BYTES] ^= 8;
  values.entries.set(key, new Blob([part]));
}

/** As a model of an earlier version has it. */
function oldRecord(): RecordInfo {
  const { xxh64: _, ...old } = record;
  return old;
}

describe('XXH64', () => {
  // Published with the algorithm; the third was computed by a direct transcription of its specification.
  it.each([
    ['', 'ef46db3751d8e999'],
    ['abc', '44bc2cf5ad770999'],
    [Uint8Array.from({ length: 1000 }, (_, i) => i * 7), '25275608a9cfc168'],
  ])('of %j', async (input, expected) => {
    const bytes = typeof input === 'string' ? new TextEncoder().encode(input) : input;
    expect(await xxh64Hex(bytes)).toBe(expected);
    const [first, second] = [(await startChecksum())!, (await startChecksum())!];
    for (const byte of bytes) {
      first.update(Uint8Array.of(byte));
      second.update(Uint8Array.of(byte ^ 1));
    }
    expect([first.digest(), second.digest() === expected]).toEqual([expected, bytes.length === 0]);
  });

  it('of parts does not depend on the order in which they arrive', async () => {
    for (const order of [
      [0, 1],
      [1, 0],
    ]) {
      const checksum = (await startChecksum())!;
      const add = inOrder<Uint8Array>((bytes) => checksum.update(bytes));
      for (const part of order) add(BYTES.subarray(part * PART_BYTES, (part + 1) * PART_BYTES), part);
      expect(checksum.digest()).toBe(record.xxh64);
    }
  });
});

describe('the first reading of a record', () => {
  it('is checked by its checksum alone', async () => {
    const digest = vi.spyOn(crypto.subtle, 'digest');
    expect(await sha256Hex(await readFirst(record))).toBe(record.sha256);
    expect(digest).toHaveBeenCalledOnce(); // by this test
  });

  it('is checked by SHA-256 if the model was stored by an earlier version, and later ones are not', async () => {
    const store = new MemoryStore(values);
    const digest = vi.spyOn(crypto.subtle, 'digest');
    await store.readRecordVerified('m', oldRecord());
    expect(digest).toHaveBeenCalledOnce();
    await store.readRecordVerified('m', oldRecord());
    expect(digest).toHaveBeenCalledOnce();
  });

  it.each([0, PART_BYTES - 1, PART_BYTES, BYTES.length - 1])(
    'finds a flipped bit of byte %i either way',
    async (at) => {
      await flipBit(at);
      const damaged = { code: 'record-damaged', message: expect.stringContaining('L0.E0') };
      await expect(readFirst(record)).rejects.toMatchObject(damaged);
      await expect(readFirst(oldRecord())).rejects.toMatchObject(damaged);
      const bytes = await new MemoryStore(values).readRecord('m', record);
      expect(await isIntact(record, bytes)).toBe(false);
      expect(await isIntact(oldRecord(), bytes)).toBe(false);
    },
  );

  it('does not take a SHA-256 of zeros for granted if the checksum differs', async () => {
    await expect(readFirst({ ...record, sha256: '0'.repeat(64), xxh64: '0'.repeat(16) })).rejects.toMatchObject({
      code: 'record-damaged',
    });
  });

  it.each([
    ['of another record', 'ef46db3751d8e999'],
    ['that is empty', ''],
    ['that is cut', '44bc2cf5'],
    ['in upper case', 'EF46DB3751D8E999'],
    ['that is endless', 'a'.repeat(1e6)],
    ['that is a number', 7],
    ['that is null', null],
    ['that is a list', ['ef46db3751d8e999']],
  ])('is checked by SHA-256 if the manifest has a checksum %s', async (_, xxh64) => {
    const info = { ...record, xxh64: xxh64 as string };
    const bytes = await readFirst(info);
    expect(await sha256Hex(bytes)).toBe(record.sha256);
    expect(await isIntact(info, bytes)).toBe(true);
    await flipBit(5);
    await expect(readFirst(info)).rejects.toMatchObject({ code: 'record-damaged' });
  });

  it('is checked by SHA-256 if the browser allows no WebAssembly', async () => {
    vi.resetModules();
    vi.doMock('hash-wasm', () => {
      throw new Error('blocked by the content security policy');
    });
    const { sha256Hex: sha256, xxh64Hex: xxh64 } = await import('./hash.ts');
    const { MemoryStore: Store } = await import('./memory-store.ts');
    expect(await xxh64(BYTES)).toBeUndefined();
    expect(await sha256(await new Store(values).readRecordVerified('m', record))).toBe(record.sha256);
    await flipBit(5);
    await expect(new Store(values).readRecordVerified('m', record)).rejects.toMatchObject({ code: 'record-damaged' });
    vi.doUnmock('hash-wasm');
  });
});

describe('a manifest with an impossible size', () => {
  it.each([
    { bytes: -1 },
    { bytes: 0.5 },
    { bytes: Number.NaN },
    { bytes: Number.POSITIVE_INFINITY, parts: Number.POSITIVE_INFINITY },
    { bytes: 2 ** 53, parts: 2 ** 29 },
    { parts: 2 ** 32 },
    { parts: 1 },
    { parts: 3 },
    { bytes: BYTES.length + 1 },
    { bytes: '16789561' as unknown as number },
  ])('%j is reported as damage', async (wrong) => {
    await expect(readFirst({ ...record, ...wrong })).rejects.toMatchObject({ code: 'record-damaged' });
  });
});
