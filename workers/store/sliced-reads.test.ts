/** Slices of records, from a database and from a file: their bytes, checks, damage and cancelling. */
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { PART_BYTES, type RecordInfo } from '../format/manifest.ts';
import { type RecordSlice, sliceRecord } from '../format/slices.ts';
import { layoutTensor, WEIGHT_TYPES } from '../format/weight-layout.ts';
import { BufferPool } from './buffer-pool.ts';
import { sha256Hex, startChecksum, xxh64Hex } from './hash.ts';
import { KeyValueStore } from './key-value-store.ts';
import { MemoryValues } from './memory-store.ts';
import { readFile } from './read-file.ts';

/** Two matrices of Q3_K, which has four planes. The second one is larger than a part. */
const TENSORS = [layoutTensor('gate', WEIGHT_TYPES.Q3_K, 13, 512, 0)];
TENSORS.push(layoutTensor('down', WEIGHT_TYPES.Q3_K, 4000, 12288, TENSORS[0].bytes));
const SIZE = TENSORS[1].offset + TENSORS[1].bytes;
const BYTES = new Uint8Array(SIZE).map((_, i) => (i * 31) ^ (i >>> 12));
/** The third thread has no rows, and the fourth has rows of the first. */
const SLICES = sliceRecord(TENSORS, [
  [
    { from: 0, to: 8 },
    { from: 0, to: 2000 },
  ],
  [
    { from: 8, to: 13 },
    { from: 2000, to: 4000 },
  ],
  [
    { from: 0, to: 0 },
    { from: 0, to: 0 },
  ],
  [
    { from: 4, to: 8 },
    { from: 1996, to: 2000 },
  ],
]);
const stored = new MemoryValues();
let record: RecordInfo;

beforeAll(async () => {
  const parts = await new KeyValueStore(stored).putRecord('m', 'L0.E0', BYTES);
  const [sha256, xxh64] = await Promise.all([sha256Hex(BYTES), xxh64Hex(BYTES)]);
  record = { key: 'L0.E0', bytes: SIZE, parts, sha256, xxh64: xxh64!, tensors: TENSORS, finite: true }; // random bytes
  expect(parts).toBeGreaterThan(1);
});

/** Counts the bytes that were taken and not recycled, and fills recycled buffers with other bytes. */
class CountingPool extends BufferPool {
  out = 0;

  constructor() {
    super(20 * SIZE);
  }

  override take(size: number): ArrayBuffer {
    this.out += size;
    return super.take(size);
  }

  override recycle(buffer: ArrayBuffer): void {
    this.out -= buffer.byteLength;
    super.recycle(new Uint8Array(buffer).fill(0xa5).buffer);
  }
}

const SLICE_BYTES = SLICES.reduce((sum, { bytes }) => sum + bytes, 0);

/** Compares with the record, range by range; toEqual takes seconds for so many bytes. */
function expectSlices(parts: readonly Uint8Array[], slices: readonly RecordSlice[] = SLICES): void {
  expect(parts.map(({ byteLength }) => byteLength)).toEqual(slices.map(({ bytes }) => bytes));
  for (const [index, { ranges, bytes }] of slices.entries()) {
    const expected = Buffer.alloc(bytes);
    for (const { from, length, to } of ranges) expected.set(BYTES.subarray(from, from + length), to);
    expect(expected.equals(parts[index]), `slice ${index}`).toBe(true);
    expect(parts[index].buffer.byteLength).toBe(bytes);
  }
  expect(new Set(parts.map(({ buffer }) => buffer)).size).toBe(parts.length);
}

describe('slices of a record in the database', () => {
  let buffers: CountingPool;
  let values: MemoryValues;
  beforeEach(() => {
    buffers = new CountingPool();
    values = new MemoryValues();
    for (const [key, value] of stored.entries) values.entries.set(key, value);
  });
  const read = (info: Partial<RecordInfo> = {}, slices: readonly RecordSlice[] = SLICES) =>
    new KeyValueStore(values, undefined, buffers).readPartsVerified('m', { ...record, ...info }, undefined, { slices });

  it.each([
    ['its checksum', {}],
    ['SHA-256, if it has no checksum', { xxh64: '' }],
    ['SHA-256, if its checksum is another one', { xxh64: '0'.repeat(16) }],
  ])('have its bytes, and zeros as padding, checked by %s', async (_, info) => {
    const whole = await new KeyValueStore(values, undefined, buffers).readPartsVerified('m', record);
    for (const { buffer } of whole.parts) buffers.recycle(buffer); // so that slices are read into used memory
    buffers.out = 0;
    const { byteLength, parts } = await read(info);
    expect(byteLength).toBe(SIZE);
    expectSlices(parts);
    // Blobs that cannot be streamed into a given buffer are read into memory that is not from the pool.
    expect(buffers.out).toBeLessThanOrEqual(SLICE_BYTES);
  });

  it('are progress piece by piece, so that a slow disk is not given up', async () => {
    const onProgress = vi.fn();
    await new KeyValueStore(values, undefined, buffers, onProgress).readPartsVerified('m', record, undefined, {
      slices: SLICES,
    });
    expect(onProgress.mock.calls.length).toBeGreaterThanOrEqual(1 + record.parts);
  });

  it('are refused if the record is damaged anywhere, even in its padding', async () => {
    const key = 'record/m/L0.E0/0000';
    const padding = TENSORS[0].bytes - 1;
    for (const at of [TENSORS[1].offset, padding]) {
      const part = new Uint8Array(await (stored.entries.get(key) as Blob).arrayBuffer());
      part[at] ^= 1;
      values.entries.set(key, new Blob([part]));
      await expect(read()).rejects.toMatchObject({ code: 'record-damaged' });
      await expect(read({ xxh64: '' })).rejects.toMatchObject({ code: 'record-damaged' });
    }
    expect(buffers.out).toBe(0);
  });

  it.each([0, 1])('recycle all memory if part %i is missing', async (part) => {
    values.entries.delete(`record/m/L0.E0/000${part}`);
    await expect(read()).rejects.toMatchObject({ code: 'record-missing' });
    expect(buffers.out).toBe(0);
  });

  it('are refused if the layouts in the manifest do not fit the record', async () => {
    const wrong = layoutTensor('down', WEIGHT_TYPES.Q3_K, 8000, 12288, TENSORS[0].bytes);
    const slices = sliceRecord([TENSORS[0], wrong], [[0, 0].map(() => ({ from: 4, to: 8 }))]);
    await expect(read({}, slices)).rejects.toMatchObject({ code: 'record-damaged' });
    await expect(read({}, [{ bytes: 2 ** 50, tensors: [], ranges: [] }])).rejects.toMatchObject({
      code: 'record-damaged',
    });
    await expect(read({ bytes: Number.NaN })).rejects.toMatchObject({ code: 'record-damaged' });
    expect(buffers.out).toBe(0);
  });
});

describe('slices of a file', () => {
  /** A file that delivers at most `most` bytes at once. */
  const fileOf = (bytes: Uint8Array, most = Number.POSITIVE_INFINITY) => {
    const reads: { at: number; into: Uint8Array }[] = [];
    const handle = {
      getSize: () => bytes.byteLength,
      read: vi.fn((into: Uint8Array, { at }: { at: number }) => {
        reads.push({ at, into });
        const piece = bytes.subarray(at, at + Math.min(into.byteLength, most));
        into.set(piece);
        return piece.byteLength;
      }),
    };
    return { handle: handle as unknown as FileSystemSyncAccessHandle, read: handle.read, reads };
  };

  it.each([Number.POSITIVE_INFINITY, 1_000_003])(
    'are read once, in order and in place, %d bytes at once',
    async (most) => {
      const { handle, reads } = fileOf(BYTES, most);
      const buffers = new CountingPool();
      for (const { bytes } of SLICES) buffers.recycle(new ArrayBuffer(bytes));
      const checksum = (await startChecksum())!;
      const { parts } = await readFile(handle, record, { buffers, checksum, slices: SLICES });
      expectSlices(parts);
      expect(checksum.digest()).toBe(record.xxh64);
      expect(reads.every(({ at }, n) => n === 0 || at > reads[n - 1].at)).toBe(true);
      expect(Math.max(...reads.map(({ into }) => into.byteLength))).toBeLessThanOrEqual(PART_BYTES);
      const inPlace = reads.filter(({ into }) => parts.some(({ buffer }) => buffer === into.buffer));
      expect(inPlace.length).toBeGreaterThan(reads.length / 2);
    },
  );

  it('leave out the padding and other rows if nothing has to be checked', async () => {
    const { handle, reads } = fileOf(BYTES);
    const slices = SLICES.slice(3);
    const { parts } = await readFile(handle, record, { buffers: new BufferPool(), slices });
    expectSlices(parts, slices);
    expect(reads.reduce((sum, { into }) => sum + into.byteLength, 0)).toBeLessThanOrEqual(slices[0].bytes);
  });

  it('are the whole record without slices', async () => {
    const { handle } = fileOf(BYTES);
    const { parts } = await readFile(handle, record, { buffers: new BufferPool() });
    expect(parts).toHaveLength(1);
    expect(Buffer.from(BYTES.buffer).equals(parts[0])).toBe(true);
  });

  it.each([SIZE - 1, SIZE + 1, 0])('are refused if the file has %d bytes', async (length) => {
    const { handle, read } = fileOf(new Uint8Array(length));
    const buffers = new CountingPool();
    const result = readFile(handle, record, { buffers, slices: SLICES });
    await expect(result).rejects.toMatchObject({ code: 'record-damaged' });
    expect(read).not.toHaveBeenCalled();
    expect(buffers.out).toBe(0);
  });

  it('are refused if the file ends while it is read', async () => {
    const { handle } = fileOf(BYTES.subarray(0, SIZE / 2));
    vi.spyOn(handle, 'getSize').mockReturnValue(SIZE);
    const buffers = new CountingPool();
    await expect(readFile(handle, record, { buffers, slices: SLICES })).rejects.toMatchObject({
      code: 'record-damaged',
    });
    expect(buffers.out).toBe(0);
  });

  it('can be cancelled after every 16 MiB, and recycle their buffers', async () => {
    const { handle, read, reads } = fileOf(BYTES, 1_000_003);
    const buffers = new CountingPool();
    const controller = new AbortController();
    read.mockImplementationOnce(() => {
      controller.abort();
      return 1;
    });
    const result = readFile(handle, record, { buffers, slices: SLICES, signal: controller.signal });
    await expect(result).rejects.toMatchObject({ code: 'aborted' });
    expect(reads.at(-1)!.at).toBeLessThan(PART_BYTES + 1_000_003);
    expect(buffers.out).toBe(0);
  });
});
