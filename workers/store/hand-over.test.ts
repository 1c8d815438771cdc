/** Records on their way from an import to an engine, with both ends in this thread. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { MixtabError } from '../../src/contract/errors.ts';
import type { ModelManifest, RecordInfo } from '../format/manifest.ts';
import { onePart } from '../format/record-parts.ts';
import { copyToSlices, sliceRecord } from '../format/slices.ts';
import { BlobByteSource } from '../import/byte-source.ts';
import type { ImportInputs } from '../import/import-inputs.ts';
import { openModel } from '../import/open-model.ts';
import { importTiny, sourceOf, TINY } from '../import/testing.ts';
import { BufferPool } from './buffer-pool.ts';
import { HandOverReceiver, HandOverSender, MAX_HAND_OVER_BYTES } from './hand-over.ts';
import { connectedEnds } from './hand-over-testing.ts';
import { MemoryStore } from './memory-store.ts';
import type { RecordReader } from './record-reader.ts';
import type { RecordStore } from './store.ts';

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** Both ends, and a reader of the store that notes what it reads. */
function connected(store: RecordStore = new MemoryStore()) {
  const ends = connectedEnds();
  const sender = new HandOverSender(ends.importer, 1000);
  const receiver = new HandOverReceiver(ends.engine, 1000);
  const reads: string[] = [];
  const reader: RecordReader = {
    read: (id, record, signal, form) => {
      reads.push(record.key);
      return store.readPartsVerified(id, record, signal, form);
    },
  };
  return { ...ends, sender, receiver, reads, reader };
}

/** A record without layouts. */
const infoOf = (key: string, { sha256 = '', bytes = 4 } = {}): RecordInfo => ({
  key,
  bytes,
  parts: 1,
  sha256,
  tensors: [],
});
const bytesOf = (first: number): Uint8Array<ArrayBuffer> => new Uint8Array([first, 2, 3, 4]);
/** Long enough for messages between the ends. */
const delivered = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

/** In a test where the store need not be asked. */
const notStored = (): never => {
  throw new Error('not needed');
};

/** A reader of a store where nothing is stored, and the keys that were asked of it. */
function emptyReader() {
  const asked: string[] = [];
  const read = async (_id: string, { key }: RecordInfo): Promise<never> => {
    asked.push(key);
    throw new MixtabError('record-missing', 'from the store');
  };
  return { asked, reader: { read } };
}

/** Begins to import a model. `usable` resolves to its id once it can be loaded. */
function beginImport({ store, ...inputs }: Partial<ImportInputs> & { store: MemoryStore }) {
  let isUsable = (_id: string): void => {};
  const usable = new Promise<string>((resolve) => (isUsable = resolve));
  const onProgress: ImportInputs['onProgress'] = ({ usableId }) => usableId && isUsable(usableId);
  const imported = importTiny(store, TINY, { ...inputs, onProgress });
  imported.catch(() => {}); // awaited by the test
  return { usable, imported };
}

describe('an import and the engine that loads its model', () => {
  it('need no read of the store if the load begins after the import, and the bytes are those that are stored', async () => {
    const store = new MemoryStore();
    const { sender, receiver, reader, reads } = connected(store);
    const { id } = await importTiny(store, TINY, { handOvers: sender });
    const { records } = (await store.getManifest(id)) as ModelManifest;
    const handOver = receiver.take(id);
    const handed = handOver.before(reader);
    for (const record of records) {
      const [bytes] = (await handed.read(id, record)).parts;
      const [stored] = (await store.readPartsVerified(id, record)).parts;
      expect(Buffer.from(bytes).equals(stored), record.key).toBe(true);
    }
    expect(reads).toEqual([]);
    await handOver.confirm(notStored);
    // Each record is handed over once.
    await handed.read(id, records[0]);
    expect(reads).toEqual([records[0].key]);
  });

  it('request a read of the store at once after the load, before the GPU gets work that it can do meanwhile', async () => {
    const { receiver } = connected();
    const { asked, reader } = emptyReader();
    const handOver = receiver.take('a');
    const handed = handOver.before(reader);
    handOver.release();
    void handed.read('a', infoOf('x')).catch(() => {});
    expect(asked).toEqual(['x']);
  });

  it('cut records into slices as the store does', async () => {
    const store = new MemoryStore();
    const { sender, receiver, reader, reads } = connected(store);
    const { id } = await importTiny(store, TINY, { handOvers: sender });
    const record = (await store.getManifest(id))!.records.find(({ key }) => key === 'L1.E3')!;
    const ranges = record.tensors.map(({ rows }) => ({ from: rows / 4, to: rows / 2 }));
    const slices = sliceRecord(record.tensors, [ranges]);
    const { parts } = await receiver.take(id).before(reader).read(id, record, undefined, { slices });
    const expected = [new Uint8Array(slices[0].bytes)];
    copyToSlices(await store.readPartsVerified(id, record), slices, expected);
    expect(parts.map(({ byteOffset, buffer }) => [byteOffset, buffer.byteLength])).toEqual([[0, slices[0].bytes]]);
    expect(Buffer.from(parts[0]).equals(expected[0])).toBe(true);
    expect(reads).toEqual([]);
  });

  it('read what an earlier import has stored from the store', async () => {
    const store = new MemoryStore();
    const abort = new AbortController();
    let puts = 0;
    const putRecords = vi.spyOn(store, 'putRecords').mockImplementation(async (...args) => {
      if (++puts === 6) abort.abort('pause');
      return MemoryStore.prototype.putRecords.apply(store, args);
    });
    await expect(importTiny(store, TINY, { signal: abort.signal })).rejects.toMatchObject({ code: 'aborted' });
    putRecords.mockRestore();
    const { records: kept } = (await store.listJournals())[0];
    expect(kept.length).toBeGreaterThan(2);
    const { sender, receiver, reader, reads } = connected(store);
    const { id } = await importTiny(store, TINY, { handOvers: sender });
    const { records } = (await store.getManifest(id))!;
    const handed = receiver.take(id).before(reader);
    for (const record of records) await handed.read(id, record);
    expect(reads.sort()).toEqual(kept.map(({ key }) => key).sort());
  });

  it('use records that arrive during the load, and know that the model is stored when the import has ended', async () => {
    const { sender, receiver } = connected();
    const { asked, reader } = emptyReader();
    const offer = sender.begin('a', [infoOf('x'), infoOf('y')])!;
    offer.add(infoOf('x', { sha256: '1' }), bytesOf(1));
    const handOver = receiver.take('a');
    const handed = handOver.before(reader);
    expect(await handed.isArriving!()).toBe(true);
    expect((await handed.read('a', infoOf('x', { sha256: '1' }))).parts).toEqual([bytesOf(1)]);
    await handOver.confirm(notStored); // the import need not have ended for a record that was stored before the load
    const y = handed.read('a', infoOf('y'));
    await delivered();
    const bytes = bytesOf(2);
    offer.add(infoOf('y', { sha256: '2' }), bytes);
    expect((await y).parts).toEqual([bytesOf(2)]);
    expect(bytes.byteLength).toBe(0); // transferred, not copied
    let isConfirmed = false;
    const confirmed = handOver.confirm(notStored).then(() => {
      isConfirmed = true;
    });
    await delivered();
    expect(isConfirmed).toBe(false);
    offer.end(true);
    await confirmed;
    expect(asked).toEqual([]);
  });

  it('fall back to the store if the import fails, and the load then fails', async () => {
    const store = new MemoryStore();
    const { sender, receiver, reader, reads } = connected(store);
    const last = 'L1.E7';
    const { signal } = new AbortController();
    const { plan } = await openModel({ source: sourceOf(TINY), signal });
    const [{ offset }] = plan.records.find(({ key }) => key === last)!.tensors;
    const source = sourceOf(TINY);
    vi.spyOn(source, 'read').mockImplementation((from, ...range) =>
      from === offset
        ? Promise.reject(new MixtabError('source-unreachable', 'The network is gone.'))
        : BlobByteSource.prototype.read.call(source, from, ...range),
    );
    const { usable, imported } = beginImport({ store, handOvers: sender, source });
    const id = await usable;
    const { records } = (await store.getPartial(id))!;
    const handOver = receiver.take(id);
    const handed = handOver.before(reader);
    for (const record of records.filter(({ key }) => key !== last)) await handed.read(id, record);
    expect(reads).toEqual([]);
    await handed.read(id, records.find(({ key }) => key === last)!).catch(() => {});
    expect(reads).toEqual([last]);
    await expect(handOver.confirm(() => store.getManifest(id))).rejects.toMatchObject({ code: 'record-missing' });
    await expect(imported).rejects.toMatchObject({ code: 'source-unreachable' });
    expect((await store.getJournal(id))!.records).toHaveLength(records.length - 1);
  });

  it('need not wait until the records are stored, and the load stands if that fails', async () => {
    const store = new MemoryStore();
    const { sender, receiver } = connected(store);
    const { asked, reader } = emptyReader();
    let fail = (): void => {};
    vi.spyOn(store, 'putRecords').mockImplementation(
      () => new Promise((_, reject) => (fail = () => reject(new MixtabError('storage-full', 'The disk is full.')))),
    );
    const { usable, imported } = beginImport({ store, handOvers: sender, kind: 'builtin' });
    const id = await usable;
    const handOver = receiver.take(id);
    const manifest = (await handOver.manifest())!;
    expect(manifest).toMatchObject({ id, state: 'importing' });
    const handed = handOver.before(reader);
    for (const record of manifest.records) await handed.read(id, record);
    await handOver.confirm(notStored);
    expect(asked).toEqual([]);
    expect([await store.getManifest(id), await store.getPartial(id)]).toEqual([undefined, undefined]);
    fail();
    await expect(imported).rejects.toMatchObject({ code: 'storage-full' });
  });
});

describe('the engine reads from the store', () => {
  it('what has another hash or size than its manifest says', async () => {
    const { sender, receiver } = connected();
    const { asked, reader } = emptyReader();
    const offer = sender.begin('a', [infoOf('x'), infoOf('y')])!;
    offer.add(infoOf('x', { sha256: '1' }), bytesOf(1));
    offer.add(infoOf('y', { sha256: '2' }), bytesOf(2));
    const handed = receiver.take('a').before(reader);
    await expect(handed.read('a', infoOf('x', { sha256: '3' }))).rejects.toThrow('from the store');
    await expect(handed.read('a', infoOf('y', { sha256: '2', bytes: 5 }))).rejects.toThrow('from the store');
    expect(asked).toEqual(['x', 'y']);
  });

  it.each([
    ['is too large', MAX_HAND_OVER_BYTES + 1],
    ['may just be handed over', MAX_HAND_OVER_BYTES],
  ])('unless a model is small: one %s', async (_which, bytes) => {
    const { sender, receiver } = connected();
    const isSmall = bytes <= MAX_HAND_OVER_BYTES;
    expect(sender.begin('a', [infoOf('x', { bytes: bytes - 4 }), infoOf('y')]) !== undefined).toBe(isSmall);
    expect(await receiver.take('a').before(emptyReader().reader).isArriving!()).toBe(isSmall);
  });

  it.each<[string, (test: ReturnType<typeof connected>) => unknown]>([
    ['the import worker is replaced', ({ replace }) => replace()],
    ['another import begins', ({ sender }) => sender.begin('b', [])],
    ['another model is loaded', ({ receiver }) => receiver.take('b')],
  ])('what it waits for if %s', async (_what, happen) => {
    const test = connected();
    const { asked, reader } = emptyReader();
    const offer = test.sender.begin('a', [infoOf('x')])!;
    const handOver = test.receiver.take('a');
    const read = handOver.before(reader).read('a', infoOf('x'));
    read.catch(() => {}); // awaited below
    await delivered();
    expect(asked).toEqual([]);
    happen(test);
    await expect(read).rejects.toThrow('from the store');
    offer.add(infoOf('x', { sha256: '1' }), bytesOf(1)); // too late, and without effect
    await delivered();
    expect(await handOver.before(reader).isArriving!()).toBe(false);
  });

  it('if the import worker does not answer, or nobody connects the two', async () => {
    const { sender, receiver, silence } = connected();
    const { reader } = emptyReader();
    sender.begin('a', [infoOf('x')])!.add(infoOf('x', { sha256: '1' }), bytesOf(1));
    silence();
    vi.useFakeTimers();
    const read = receiver.take('a').before(reader).read('a', infoOf('x'));
    const rejected = expect(read).rejects.toThrow('from the store');
    await vi.advanceTimersByTimeAsync(999);
    expect(await Promise.race([read.catch(() => 'ended'), Promise.resolve('waiting')])).toBe('waiting');
    await vi.advanceTimersByTimeAsync(1);
    await rejected;
    await expect(new HandOverReceiver().take('a').before(reader).read('a', infoOf('x'))).rejects.toThrow('the store');
    expect(new HandOverSender().begin('a', [])).toBeUndefined();
  });

  it('a record that two reads ask for, for the second', async () => {
    const { sender, receiver } = connected();
    const { asked, reader } = emptyReader();
    const offer = sender.begin('a', [infoOf('x')])!;
    const handed = receiver.take('a').before(reader);
    const reads = [handed.read('a', infoOf('x')), handed.read('a', infoOf('x'))];
    const settled = Promise.allSettled(reads);
    await delivered();
    offer.add(infoOf('x', { sha256: '1' }), bytesOf(1));
    expect((await settled).map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    expect(asked).toEqual(['x']);
  });

  it('if there is no memory for slices, so that its error is the one that is shown', async () => {
    const { sender, receiver } = connected();
    const { asked, reader } = emptyReader();
    sender.begin('a', [infoOf('x')])!.add(infoOf('x', { sha256: '1' }), bytesOf(1));
    vi.spyOn(BufferPool.prototype, 'take').mockImplementationOnce(() => {
      throw new RangeError('Array buffer allocation failed');
    });
    const slices = [{ bytes: 4, tensors: [], ranges: [] }];
    const read = receiver.take('a').before(reader).read('a', infoOf('x'), undefined, { slices });
    await expect(read).rejects.toThrow('from the store');
    expect(asked).toEqual(['x']);
  });

  it('and opens its reader, if nothing is handed over; otherwise only if something is missing', async () => {
    const { sender, receiver } = connected();
    const open = vi.fn();
    const recycle = vi.fn();
    const reader = { ...emptyReader().reader, open, recycle };
    const record = onePart(bytesOf(1));
    sender.begin('a', [infoOf('x')])!.add(infoOf('x', { sha256: '1' }), bytesOf(1));
    const small = receiver.take('a');
    const handed = small.before(reader);
    await delivered();
    handed.recycle!(record);
    expect([open, recycle].map(({ mock }) => mock.calls.length)).toEqual([0, 0]);
    small.release();
    handed.recycle!(record);
    expect(recycle).toHaveBeenCalledTimes(1);

    const other = receiver.take('b').before(reader);
    await delivered();
    other.recycle!(record);
    expect([open, recycle].map(({ mock }) => mock.calls.length)).toEqual([1, 2]);
  });
});

describe('messages', () => {
  /** The end of one worker. The test is the other one. */
  function endOf() {
    const sent: { type: string }[] = [];
    let receive = (_content: unknown): void => {};
    const end = {
      isConnected: true,
      send: (content: unknown) => void sent.push(content as { type: string }),
      onMessage: (listener: typeof receive) => {
        receive = listener;
      },
    };
    return { end, sent, receive: (content: unknown) => receive(content) };
  }

  it('for an earlier load of the same model do not count', async () => {
    const { end, sent, receive } = endOf();
    const receiver = new HandOverReceiver(end);
    receiver.take('a').release();
    const handed = receiver.take('a').before(emptyReader().reader);
    const settled = Promise.allSettled([handed.read('a', infoOf('x')), handed.read('a', infoOf('y'))]);
    const [first, , second] = sent;
    receive({ ...first, type: 'offer', keys: ['x', 'y'] });
    await delivered();
    receive({ ...first, type: 'end', complete: true });
    receive({ ...second, type: 'offer', keys: ['x'] });
    receive({ ...second, type: 'record', info: infoOf('x', { sha256: '1' }), bytes: bytesOf(1) });
    expect(await settled).toMatchObject([
      { value: { parts: [bytesOf(1)] } },
      { reason: { message: 'from the store' } },
    ]);
  });

  it('of a load that has ended do not drop what another one gets', () => {
    const { end, sent, receive } = endOf();
    const offer = new HandOverSender(end).begin('a', [infoOf('x')])!;
    receive({ type: 'take', modelId: 'a', takeId: '1' });
    receive({ type: 'take', modelId: 'a', takeId: '2' });
    receive({ type: 'release', modelId: 'a', takeId: '1' });
    offer.add(infoOf('x', { sha256: '1' }), bytesOf(1));
    expect(sent.map(({ type }) => type)).toEqual(['offer', 'offer', 'record']);
  });

  it('have each record once, even if it had to be stored again', () => {
    const { end, sent, receive } = endOf();
    const offer = new HandOverSender(end).begin('a', [infoOf('x'), infoOf('y')])!;
    for (const first of [1, 2]) offer.add(infoOf('x', { sha256: '1' }), bytesOf(first));
    receive({ type: 'take', modelId: 'a', takeId: '1' });
    for (const first of [1, 2]) offer.add(infoOf('y', { sha256: '1' }), bytesOf(first));
    expect(sent).toMatchObject([{ keys: ['x', 'y'] }, { info: { key: 'x' } }, { info: { key: 'y' } }]);
  });
});

describe('a hand-over that ends before the import, as when another attempt takes over', () => {
  it.each<[string, storedHash: string | undefined, isLoaded: boolean]>([
    ['is enough if the store has the same record in the end', '1', true],
    ['fails the load if the store has another one', '2', false],
    ['fails the load if the model is not complete', undefined, false],
  ])('%s', async (_what, storedHash, isLoaded) => {
    const { sender, receiver } = connected();
    const { asked, reader } = emptyReader();
    const records = [infoOf('x'), infoOf('y')];
    const offer = sender.begin('a', records)!;
    const handOver = receiver.take('a');
    const handed = handOver.before(reader);
    await delivered();
    offer.add(infoOf('x', { sha256: '1' }), bytesOf(1));
    await handed.read('a', infoOf('x'));
    sender.begin('a', records);
    await handed.read('a', infoOf('y')).catch(() => {});
    expect(asked).toEqual(['y']);
    const manifest = { records: [infoOf('x', { sha256: storedHash ?? '' })] } as ModelManifest;
    const confirmed = handOver.confirm(async () => (storedHash ? manifest : undefined));
    if (isLoaded) await confirmed;
    else await expect(confirmed).rejects.toMatchObject({ code: 'record-missing', remedy: expect.stringMatching(/./) });
  });
});

describe('records that nobody has taken', () => {
  /** Offers one record of model `a`, whose import then ends. */
  function offered() {
    vi.useFakeTimers();
    const test = connected();
    const offer = test.sender.begin('a', [infoOf('x')])!;
    offer.add(infoOf('x', { sha256: '1' }), bytesOf(1));
    return { ...test, offer };
  }

  /** Whether a load of `a` still gets the record. */
  async function areThere({ receiver }: ReturnType<typeof offered>): Promise<boolean> {
    const arriving = receiver.take('a').before(emptyReader().reader).isArriving!();
    await vi.advanceTimersByTimeAsync(0);
    return arriving;
  }

  it('wait for a moment after the import', async () => {
    const test = offered();
    test.offer.end(true);
    await vi.advanceTimersByTimeAsync(999);
    expect(await areThere(test)).toBe(true);
  });

  it.each<[string, (test: ReturnType<typeof offered>) => unknown]>([
    ['after that moment', ({ offer }) => [offer.end(true), vi.advanceTimersByTime(1000)]],
    ['at once if the import fails', ({ offer }) => offer.end(false)],
    ['if another model is imported', ({ offer, sender }) => [offer.end(true), sender.begin('b', [])]],
    ['once the model is loaded', ({ receiver }) => receiver.take('a').release()],
  ])('are dropped %s', async (_when, happen) => {
    const test = offered();
    happen(test);
    await vi.advanceTimersByTimeAsync(0);
    expect(await areThere(test)).toBe(false);
  });

  it('are still there if another model is loaded first, or if the engine is replaced', async () => {
    const test = offered();
    test.offer.end(true);
    test.receiver.take('b').release();
    test.replace();
    await vi.advanceTimersByTimeAsync(0);
    expect(await areThere(test)).toBe(true);
  });
});

it('ends a wait that is cancelled', async () => {
  const { sender, receiver } = connected();
  const { asked, reader } = emptyReader();
  sender.begin('a', [infoOf('x')]);
  const abort = new AbortController();
  const read = receiver.take('a').before(reader).read('a', infoOf('x'), abort.signal);
  read.catch(() => {}); // awaited below
  await delivered();
  abort.abort();
  await expect(read).rejects.toMatchObject({ code: 'aborted' });
  expect(asked).toEqual([]);
});

it('ends all waits of a load that is stopped, even the last one for the end of the import', async () => {
  const { sender, receiver } = connected();
  const { asked, reader } = emptyReader();
  const offer = sender.begin('a', [infoOf('x'), infoOf('y')])!;
  offer.add(infoOf('x', { sha256: '1' }), bytesOf(1));
  const load = new AbortController();
  const handOver = receiver.take('a', load.signal);
  const handed = handOver.before(reader);
  await handed.read('a', infoOf('x'));
  const waits = Promise.allSettled([handed.read('a', infoOf('y')), handOver.confirm(notStored)]);
  await delivered();
  load.abort();
  expect(await waits).toMatchObject([{ reason: { code: 'aborted' } }, { reason: { code: 'aborted' } }]);
  expect(asked).toEqual([]);
  handOver.release();
  await expect(handed.read('a', infoOf('y'))).rejects.toThrow('from the store');
});
