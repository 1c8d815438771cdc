/** A reader whose store never answers is replaced, with fake workers in this thread. Ticks are counted, so no time matters. */
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { LinkedWorker } from '../../src/contract/worker-link.ts';
import type { RecordInfo } from '../format/manifest.ts';
import { joinParts, onePart } from '../format/record-parts.ts';
import { copyToSlices, sliceRecord } from '../format/slices.ts';
import { importTiny, TINY } from '../import/testing.ts';
import { BufferPool } from './buffer-pool.ts';
import { FakeReader } from './fake-reader-testing.ts';
import { KeyValueStore } from './key-value-store.ts';
import { MemoryStore, MemoryValues } from './memory-store.ts';
import { ReadProgress } from './read-progress.ts';
import { ReaderService, type RepairRecord } from './reader-service.ts';
import { createReaderWorker } from './record-reader.ts';
import { IMPORT_LOCK } from './record-requests.ts';

const TICK_MS = 10;
const never = new Promise<never>(() => {});
const values = new MemoryValues();
const store = new MemoryStore(values);
let id: string;
let record: RecordInfo;

beforeAll(async () => {
  ({ id } = await importTiny(store, TINY));
  record = (await store.getManifest(id))!.records.find(({ key }) => key === 'L1.E3')!;
});

/** What never ends: the database's answer, or the stream of a Blob. */
type Hang = 'database' | 'stream';

/** The values of the model, of which some reads never end. */
function hangingValues(hang: Hang | undefined): MemoryValues {
  const hanging = new MemoryValues();
  for (const [key, value] of values.entries) hanging.entries.set(key, value);
  if (hang === 'database') hanging.getMany = () => never;
  const key = `record/${id}/${record.key}/0000`;
  const blob = new Blob([hanging.entries.get(key) as Blob]);
  if (hang === 'stream') blob.stream = () => new ReadableStream({ type: 'bytes', pull: () => never });
  hanging.entries.set(key, blob);
  return hanging;
}

const workers: FakeReader[] = [];
beforeEach(() => vi.stubGlobal('navigator', {})); // Node 20 has none, and later ones have locks
afterEach(() => {
  for (const worker of workers.splice(0)) worker.terminate();
  vi.unstubAllGlobals();
});

/** toEqual takes seconds for so many bytes. */
const expectBytes = (parts: readonly Uint8Array[], expected: readonly Uint8Array[]): void =>
  expect(parts.map((part, i) => Buffer.from(part).equals(expected[i]))).toEqual(expected.map(() => true));

/** @param hangs of the first reader, the second, ...; those after them do not hang */
function readerWith(hangs: (Hang | undefined)[], repair: RepairRecord = () => never) {
  return createReaderWorker(() => {
    const progress = new ReadProgress();
    const buffers = new BufferPool();
    const own = new KeyValueStore(hangingValues(hangs[workers.length]), undefined, buffers, progress.note);
    workers.push(new FakeReader((post) => new ReaderService({ store: own, buffers, repair, progress, post })));
    return workers.at(-1) as unknown as LinkedWorker;
  }, TICK_MS);
}

it('starts no worker before one is needed', async () => {
  const reader = readerWith([]);
  reader.recycle!(onePart(new Uint8Array(4)));
  expect(workers).toHaveLength(0);
  reader.open!();
  expect(workers).toHaveLength(1);
  await reader.read(id, record);
  expect(workers).toHaveLength(1);
  await readerWith([]).read(id, record);
  expect(workers).toHaveLength(2);
});

describe.each<Hang>(['database', 'stream'])('a read of which the %s never answers', (hang) => {
  it('is repeated by another reader', async () => {
    const read = await readerWith([hang]).read(id, record);
    expectBytes([joinParts(read)], [await store.readRecord(id, record)]);
    expect(workers.map(({ terminated }) => terminated)).toEqual([true, false]);
  });

  it('is repeated for the slices of compute threads', async () => {
    const rows = record.tensors.map(({ rows: count }) => count >> 1);
    const slices = sliceRecord(record.tensors, [
      rows.map((half) => ({ from: 0, to: half })),
      record.tensors.map(({ rows: to }, i) => ({ from: rows[i], to })),
    ]);
    const expected = slices.map(({ bytes }) => new Uint8Array(bytes));
    const whole = await store.readRecord(id, record);
    copyToSlices({ byteLength: whole.byteLength, parts: [whole] }, slices, expected);
    const read = await readerWith([hang]).read(id, record, new AbortController().signal, { slices });
    expectBytes(read.parts, expected);
    expect(workers.length).toBe(2);
  });

  it('is an error if the other one does not answer either, and the next read works', async () => {
    const reader = readerWith([hang, hang]);
    await expect(reader.read(id, record)).rejects.toMatchObject({
      code: 'record-unreadable',
      message: expect.stringMatching(
        /^The stored weights L1\.E3 cannot be read now: the browser has delivered nothing/,
      ),
      remedy: expect.stringContaining('Try again.'),
    });
    expect((await reader.read(id, record)).byteLength).toBe(record.bytes);
    expect(workers.length).toBe(3);
  });
});

it('a read that was given up while the port to the site was on its way does not begin when it arrives', async () => {
  const begun = vi.spyOn(ReaderService.prototype, 'read');
  const reader = readerWith([]);
  const arrive: ((port: MessagePort) => void)[] = [];
  const { port1, port2 } = new MessageChannel();
  reader.attachSiteStore(() => new Promise((resolve) => arrive.push(resolve)));
  const read = reader.read(id, record);
  await vi.waitFor(() => expect(arrive.length).toBe(2)); // given up, and tried again
  for (const [index, resolve] of arrive.entries()) resolve([port1, port2][index]);
  expect((await read).byteLength).toBe(record.bytes);
  await new Promise((resolve) => setTimeout(resolve));
  expect(begun).toHaveBeenCalledTimes(1);
  for (const port of [port1, port2]) port.close();
  begun.mockRestore();
});

it('a read that is cancelled while the port to the site is on its way ends at once', async () => {
  const reader = readerWith([]);
  reader.attachSiteStore(() => never);
  const controller = new AbortController();
  const read = reader.read(id, record, controller.signal);
  controller.abort();
  const settled = read.catch(({ code }: { code: string }) => code);
  expect(await Promise.race([settled, new Promise((resolve) => setTimeout(resolve, TICK_MS / 2))])).toBe('aborted');
  expect(workers.map(({ terminated }) => terminated)).toEqual([false]); // other reads may be using it
});

it('a cancelled read that never ends is aborted, and not repeated', async () => {
  const controller = new AbortController();
  const read = readerWith(['database']).read(id, record, controller.signal);
  controller.abort();
  await expect(read).rejects.toMatchObject({ code: 'aborted' });
  expect(workers.length).toBe(1);
});

describe('the same reader continues, however long it takes,', () => {
  it('while a record is repaired over the network', async () => {
    let asked = 0;
    const original = ReaderService.prototype.progress;
    const bytes = await store.readRecord(id, record);
    let repaired = (_bytes: Uint8Array<ArrayBuffer>): void => {};
    vi.spyOn(ReaderService.prototype, 'progress').mockImplementation(function (this: ReaderService) {
      if (++asked === 40) repaired(bytes); // three times the patience
      return original.call(this);
    });
    const reader = readerWith([], () => new Promise((resolve) => (repaired = resolve)));
    const missing = { ...record, key: 'L9.E9' };
    expect((await reader.read(id, missing)).byteLength).toBe(record.bytes);
    expect(workers.length).toBe(1);
    vi.restoreAllMocks();
  });

  it('while an import has not stored the record yet', async () => {
    vi.stubGlobal('navigator', { locks: { query: async () => ({ held: [{ name: IMPORT_LOCK }] }) } });
    const progress = new ReadProgress();
    const own = new KeyValueStore(values, undefined, undefined, progress.note);
    const service = new ReaderService({ store: own, buffers: new BufferPool(), repair: () => never, progress });
    const read = service.read(id, { ...record, key: 'L9.E9', sha256: '' }, 1);
    const counts = [service.progress()];
    for (let second = 0; second < 2; second++) {
      await expect.poll(() => service.progress()).toBeGreaterThan(counts.at(-1)!);
      counts.push(service.progress());
    }
    service.cancel(1);
    await expect(read).rejects.toMatchObject({ code: 'aborted' });
  });
});
