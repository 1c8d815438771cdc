/** What an import that fails keeps: everything, unless the user gives it up or the file itself is no good. */
import { beforeAll, describe, expect, it } from 'vitest';
import { type ErrorCode, MixtabError } from '../../src/contract/errors.ts';
import type { ImportProgress } from '../../src/contract/import-api.ts';
import { sha256Hex } from '../store/hash.ts';
import { makingRoom } from '../store/making-room.ts';
import { MemoryStore, MemoryValues } from '../store/memory-store.ts';
import { createSynth } from '../synth/synth.ts';
import { HttpByteSource } from './http-byte-source.ts';
import { DISCARD, type ImportInputs } from './import-inputs.ts';
import { countingSource, importTiny, sourceOf, TINY } from './testing.ts';
import { verifyModel } from './verify.ts';

const synth = createSynth(TINY);
const DATA = synth.read(0, synth.size);
const RECORDS = 20;

/** Keys and hashes of a model's records. */
const hashesOf = async (store: MemoryStore, id: string): Promise<string[][]> =>
  (await store.getManifest(id))!.records.map(({ key, sha256 }) => [key, sha256]);

let whole: string[][];
beforeAll(async () => {
  const store = new MemoryStore();
  whole = await hashesOf(store, (await importTiny(store, TINY)).id);
});

/** A fetch over the file. From record 8 on, it answers `count` times with a fault. */
function faultyFetch(fault: (first: number, last: number) => Response, count: number) {
  const state = { armed: false, faults: count };
  const answer: typeof fetch = async (_url, init) => {
    const range = String(new Headers(init?.headers).get('range'));
    const [first, end] = /bytes=(\d+)-(\d+)/.exec(range)!.slice(1).map(Number);
    const last = Math.min(end, DATA.length - 1);
    if (state.armed && state.faults-- > 0) return fault(first, last);
    return rangeOf(first, last, '"a"');
  };
  return { state, fetch: answer };
}

function rangeOf(first: number, last: number, etag: string): Response {
  const headers = { 'content-range': `bytes ${first}-${last}/${DATA.length}`, etag };
  return new Response(DATA.slice(first, last + 1), { status: 206, headers });
}

const HUB = 'https://huggingface.co/owner/name/resolve/main/tiny.gguf';

/** Imports over a network with a fault in the midst. */
async function importFaulty(store: MemoryStore, fault: (first: number, last: number) => Response, count: number) {
  const { state, fetch } = faultyFetch(fault, count);
  const source = await HttpByteSource.open(HUB, { fetch, retryDelaysMs: [1, 1], onOutage: () => {} });
  return importTiny(store, TINY, {
    source,
    kind: 'url',
    sourceUrl: HUB,
    onProgress: ({ recordsDone }) => {
      state.armed = recordsDone >= 8;
    },
  });
}

const FAULTS: [name: string, fault: (first: number, last: number) => Response, code: ErrorCode | undefined][] = [
  ['401 of the hub', () => new Response('', { status: 401 }), 'source-gated'],
  ['403 of the hub', () => new Response('', { status: 403 }), 'source-gated'],
  ['404', () => new Response('', { status: 404 }), 'source-unreachable'],
  ['200 with the whole file', () => new Response(DATA, { status: 200 }), 'source-no-ranges'],
  ['206 without Content-Range', () => new Response(DATA.slice(0, 10), { status: 206 }), 'source-no-ranges'],
  ['a login page', () => new Response('<html>', { headers: { 'content-type': 'text/html' } }), 'source-unreachable'],
  ['a second mirror with another ETag', (first, last) => rangeOf(first, last, '"b"'), undefined],
  ['the weak form of the ETag', (first, last) => rangeOf(first, last, 'W/"a"'), undefined],
];

describe('an import over a network', () => {
  it.each(FAULTS)('%s, once: it continues', async (_name, fault) => {
    const store = new MemoryStore();
    const { id } = await importFaulty(store, fault, 1);
    expect(await hashesOf(store, id)).toEqual(whole);
  });

  it.each(FAULTS.filter(([, , code]) => code))('%s, for ever: what is stored is kept', async (_name, fault, code) => {
    const store = new MemoryStore();
    await expect(importFaulty(store, fault, Number.POSITIVE_INFINITY)).rejects.toMatchObject({
      code,
      remedy: expect.stringContaining('What is stored is kept: continue on the models page.'),
    });
    const [journal] = await store.listJournals();
    expect(journal.records.length).toBeGreaterThanOrEqual(8);
    const source = countingSource(TINY);
    const { id } = await importTiny(store, TINY, { source });
    expect(source.bytes).toBeLessThan(DATA.length * 0.7);
    expect(await hashesOf(store, id)).toEqual(whole);
  });
});

/** Throws when record number `at` is written, `count` times. */
class FailingValues extends MemoryValues {
  constructor(
    private readonly error: () => Error,
    private at: number,
    private count = 1,
    private readonly prefix = 'record/',
  ) {
    super();
  }

  override async write(changes: Parameters<MemoryValues['write']>[0]): Promise<void> {
    if (changes.set?.some(([key]) => key.startsWith(this.prefix)) && this.at-- <= 0 && this.count-- > 0)
      throw this.error();
    await super.write(changes);
  }
}

const full = (): MixtabError => new MixtabError('storage-full', 'The storage is full.', 'Remove something.');

describe('an import into a store that fails', () => {
  it.each([1, 7, 19])('full after %i records: these are kept, and the import continues', async (after) => {
    const store = new MemoryStore(new FailingValues(full, after));
    await expect(importTiny(store, TINY)).rejects.toMatchObject({
      code: 'storage-full',
      message: 'The storage is full. What was stored so far is kept.',
      remedy: expect.stringMatching(/Free disk space .* continue the import .* or delete it there/),
    });
    const [journal] = await store.listJournals();
    expect(journal.records).toHaveLength(after);
    const { id } = await importTiny(store, TINY);
    expect(await hashesOf(store, id)).toEqual(whole);
  });

  it.each([
    ['record/', 7],
    ['import/', 7],
    ['partial/', 0],
    ['model/', 0],
  ])('full when it writes %s, but sessions can be deleted: it continues', async (prefix, after) => {
    let calls = 0;
    const freeSpace = async () => ++calls === 1;
    const store = makingRoom(new MemoryStore(new FailingValues(full, after, 1, prefix)), freeSpace) as MemoryStore;
    const { id } = await importTiny(store, TINY);
    expect(calls).toBe(1);
    expect(await verifyModel(store, id, () => {})).toEqual([]);
  });

  it('full, and nothing is left to delete: it fails', async () => {
    const store = makingRoom(new MemoryStore(new FailingValues(full, 7, 9)), async () => false) as MemoryStore;
    await expect(importTiny(store, TINY)).rejects.toMatchObject({ code: 'storage-full' });
  });

  it('any other error: what is stored is kept', async () => {
    const lost = () => new MixtabError('storage-unavailable', 'Connection to Indexed Database server lost');
    for (const error of [lost, () => new TypeError('a bug')]) {
      const store = new MemoryStore(new FailingValues(error, 7));
      await expect(importTiny(store, TINY)).rejects.toThrow(error().message);
      expect((await store.listJournals())[0].records).toHaveLength(7);
    }
  });
});

it('does not claim that something is kept if the browser has deleted it', async () => {
  const values = new FailingValues(() => {
    values.entries.clear();
    return new MixtabError('storage-unavailable', 'The connection was closed.', 'Free disk space.');
  }, 7);
  await expect(importTiny(new MemoryStore(values), TINY)).rejects.toMatchObject({
    message: 'The connection was closed. The browser has deleted what was stored of this model.',
    remedy: 'Free disk space. Then import it again.',
  });
});

describe('an import that is stopped', () => {
  it.each([
    ['given up', DISCARD, 0],
    ['paused', 'pause', 8],
    ['stopped for any other reason', undefined, 8],
  ])('%s', async (_name, reason, kept) => {
    const values = new MemoryValues();
    const store = new MemoryStore(values);
    const controller = new AbortController();
    const onProgress = ({ recordsDone }: { recordsDone: number }): void => {
      if (recordsDone >= 8) controller.abort(reason);
    };
    await expect(importTiny(store, TINY, { signal: controller.signal, onProgress })).rejects.toMatchObject({
      code: 'aborted',
    });
    expect((await store.listJournals())[0]?.records.length ?? 0).toBeGreaterThanOrEqual(kept);
    if (kept === 0) expect(values.entries.size).toBe(0);
  });
});

describe('a file that is no good', () => {
  it('leaves nothing behind if it turns out to be damaged', async () => {
    const values = new MemoryValues();
    const source = sourceOf(TINY);
    let damaged = false;
    const read = source.read.bind(source);
    source.read = (...range) =>
      damaged ? Promise.reject(new MixtabError('gguf-damaged', 'a scale is NaN')) : read(...range);
    const onProgress = ({ recordsDone }: { recordsDone: number }): void => {
      damaged = recordsDone >= 8;
    };
    await expect(importTiny(new MemoryStore(values), TINY, { source, onProgress })).rejects.toMatchObject({
      code: 'gguf-damaged',
    });
    expect(values.entries.size).toBe(0);
  });

  it.each([4, 12, 19])('is detected if another one replaces it at record %i, without any validator', async (at) => {
    const values = new MemoryValues();
    const source = sourceOf(TINY);
    const other = sourceOf({ ...TINY, seed: 2 });
    expect(other.size).toBe(source.size);
    const read = source.read.bind(source);
    let replaced = false;
    source.read = (...range) => (replaced ? other.read(...range) : read(...range));
    const onProgress = ({ recordsDone }: { recordsDone: number }): void => {
      replaced ||= recordsDone >= at;
    };
    await expect(importTiny(new MemoryStore(values), TINY, { source, onProgress })).rejects.toMatchObject({
      code: 'source-changed',
      message: 'tiny.gguf was replaced by another file while it was being imported.',
    });
    expect(values.entries.size).toBe(0); // what was stored may be a mixture
  });

  it('is read again if one read was garbled', async () => {
    const source = sourceOf(TINY);
    const read = source.read.bind(source);
    let garbled = 0;
    let armed = false;
    source.read = async (offset, length, signal) => {
      const bytes = await read(offset, length, signal);
      if (armed && length > 10_000 && garbled++ < 2) bytes.fill(7);
      return bytes;
    };
    const onProgress = ({ phase }: ImportProgress): void => {
      armed ||= phase === 'records';
    };
    const store = new MemoryStore();
    const { id } = await importTiny(store, TINY, { source, onProgress });
    expect(garbled).toBeGreaterThan(1);
    expect(await hashesOf(store, id)).toEqual(whole);
  });
});

describe('records that disappear during the import', () => {
  it('are imported again before the model counts as complete', async () => {
    const values = new MemoryValues();
    const store = new MemoryStore(values);
    let removed = false;
    const onProgress = async ({ recordsDone }: { recordsDone: number }): Promise<void> => {
      if (removed || recordsDone < 8) return;
      removed = true;
      const [{ id }] = await store.listJournals();
      await new MemoryStore(values).removeModel(id); // another tab of an earlier version
    };
    const { id } = await importTiny(store, TINY, { onProgress });
    expect(removed).toBe(true);
    expect((await store.getManifest(id))?.records).toHaveLength(RECORDS);
    expect(await verifyModel(store, id, () => {})).toEqual([]);
  });

  it('end the import if they disappear again and again', async () => {
    const values = new MemoryValues();
    const store = new MemoryStore(values);
    const onProgress = ({ recordsDone }: { recordsDone: number }): void => {
      if (recordsDone < RECORDS) return;
      for (const key of values.entries.keys()) if (key.includes('/L0.E2/')) values.entries.delete(key);
    };
    await expect(importTiny(store, TINY, { onProgress })).rejects.toMatchObject({
      code: 'record-missing',
      message: expect.stringContaining('1 of 20 stored records have disappeared'),
    });
    expect(await store.listManifests()).toEqual([]);
  });
});

describe('who began an import', () => {
  const A = 'https://a.example';
  const stopAt = (records: number): Partial<ImportInputs> => {
    const stop = new AbortController();
    return {
      signal: stop.signal,
      onProgress: ({ recordsDone }) => recordsDone >= records && stop.abort('pause'),
    };
  };

  it('decides who may continue it: an embedding page leaves alone what the user has stored', async () => {
    const store = new MemoryStore();
    await expect(importTiny(store, TINY, stopAt(8))).rejects.toMatchObject({ code: 'aborted' });
    const [before] = await store.listJournals();
    expect([before.records.length >= 8, before.embedder]).toEqual([true, undefined]);
    for (const more of [{}, stopAt(12), { signal: AbortSignal.abort(DISCARD) }]) {
      await expect(importTiny(store, TINY, { ...more, embedder: A })).rejects.toMatchObject({
        code: expect.stringMatching(/^(not-allowed|aborted)$/),
      });
      expect(await store.listJournals()).toEqual([before]);
    }
    const { id, embedder } = await importTiny(store, TINY);
    expect(embedder).toBeUndefined();
    expect(await hashesOf(store, id)).toEqual(whole);
  });

  it('is kept with the journal and the model, until the user imports it too', async () => {
    const store = new MemoryStore();
    await expect(importTiny(store, TINY, { ...stopAt(8), embedder: A })).rejects.toMatchObject({ code: 'aborted' });
    expect((await store.listJournals()).map(({ embedder }) => embedder)).toEqual([A]);
    expect((await importTiny(store, TINY, { embedder: A })).embedder).toBe(A);
    expect((await importTiny(store, TINY, { embedder: A })).embedder).toBe(A);
    expect((await importTiny(store, TINY)).embedder).toBeUndefined();
    expect((await store.listManifests()).map(({ embedder }) => embedder)).toEqual([undefined]);
    expect((await importTiny(store, TINY, { embedder: A })).embedder).toBeUndefined();
  });

  it('is the user from when the user continues it', async () => {
    const store = new MemoryStore();
    await expect(importTiny(store, TINY, { ...stopAt(8), embedder: A })).rejects.toMatchObject({ code: 'aborted' });
    await expect(importTiny(store, TINY, stopAt(12))).rejects.toMatchObject({ code: 'aborted' });
    await expect(importTiny(store, TINY, { embedder: A })).rejects.toMatchObject({ code: 'not-allowed' });
    expect((await importTiny(store, TINY)).embedder).toBeUndefined();
  });
});

it('a model of an earlier version whose weights are NaN gives an error that names them, not words', async () => {
  const store = new MemoryStore();
  const { id } = await importTiny(store, TINY);
  const [expert] = (await store.getManifest(id))!.records.filter(({ key }) => key === 'L0.E3');
  const bytes = (await store.readRecord(id, expert)).fill(0xff);
  await store.putRecord(id, expert.key, bytes);
  const stored = { ...expert, sha256: await sha256Hex(bytes) };
  await expect(store.readRecordVerified(id, stored)).resolves.toBeDefined(); // it was checked at import
  const { finite: _, ...old } = stored;
  await store.putRecord(id, expert.key, bytes);
  await expect(store.readRecordVerified(id, old)).rejects.toMatchObject({
    code: 'not-finite',
    message: expect.stringMatching(/gate in L0\.E3, row 0/),
  });
});
