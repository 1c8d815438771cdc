import { describe, expect, it } from 'vitest';
import { MixtabError } from '../../src/contract/errors.ts';
import { MemoryStore, MemoryValues } from '../store/memory-store.ts';
import { SYNTH_PRESETS } from '../synth/presets.ts';
import { createSynth } from '../synth/synth.ts';
import { BlobByteSource } from './byte-source.ts';
import { repairRecord } from './self-repair.ts';
import { importSource } from './testing.ts';

const blobOf = (seed: number): Blob => {
  const synth = createSynth({ ...SYNTH_PRESETS.tiny, seed });
  return new Blob([synth.read(0, synth.size)]);
};
const URL = 'https://host/tiny.gguf';

/** A stored model, one of whose records is damaged. */
async function damagedModel(sourceUrl?: string) {
  const values = new MemoryValues();
  const store = new MemoryStore(values);
  const origin = sourceUrl ? { kind: 'url' as const, sourceUrl } : {};
  const { id } = await importSource(store, new BlobByteSource(blobOf(1), 'tiny.gguf'), origin);
  const record = (await store.getManifest(id))!.records.find(({ key }) => key === 'L1.E3')!;
  const before = await store.readRecordVerified(id, record);
  const broken = new Uint8Array(before);
  broken[1234] ^= 1;
  const [key] = (await values.keys(`record/${id}/L1.E3/`)) as [string];
  values.entries.set(key, new Blob([broken]));
  const fresh = new MemoryStore(values); // has not read the record yet, so it checks the hash
  const failure = await fresh.readRecordVerified(id, record).catch((error: MixtabError) => error);
  expect(failure).toMatchObject({ code: 'record-damaged' });
  return { store: fresh, id, record, before, failure: failure as MixtabError };
}

describe('a record that is damaged while its model runs', () => {
  it('is fetched again from the source of the model', async () => {
    const { store, id, record, before, failure } = await damagedModel(URL);
    const opened: string[] = [];
    const open = async (url: string) => {
      opened.push(url);
      return new BlobByteSource(blobOf(1), 'tiny.gguf');
    };
    expect(await repairRecord({ store, open }, id, record, failure)).toEqual(before);
    expect(opened).toEqual([URL]);
    expect(await store.readRecordVerified(id, record)).toEqual(before);
    expect((await store.getManifest(id))?.state).toBe('complete');
  });

  it('marks a model from a local file as damaged, and reports the cause', async () => {
    const { store, id, record, failure } = await damagedModel();
    const open = () => Promise.reject(new Error('nothing to open'));
    await expect(repairRecord({ store, open }, id, record, failure)).rejects.toMatchObject({
      code: failure.code,
      message: failure.message,
      remedy: 'Import tiny.gguf again: only the damaged records are written again.',
    });
    expect((await store.getManifest(id))?.state).toBe('damaged');
  });

  it('rejects another file, and says why fetching failed', async () => {
    const { store, id, record, failure } = await damagedModel(URL);
    const other = async () => new BlobByteSource(blobOf(2), 'tiny.gguf');
    await expect(repairRecord({ store, open: other }, id, record, failure)).rejects.toMatchObject({
      code: 'record-damaged',
      message: expect.stringContaining('no longer the file'),
    });
    expect((await store.getManifest(id))?.state).toBe('damaged');
  });

  it.each([
    ['the network is down', new MixtabError('source-unreachable', 'offline')],
    ['the server wants a token', new MixtabError('source-gated', 'no token')],
    ['main memory is short', new MixtabError('memory-full', 'no memory')],
  ])('marks nothing if %s', async (_name, cause) => {
    const { store, id, record, failure } = await damagedModel(URL);
    await expect(repairRecord({ store, open: () => Promise.reject(cause) }, id, record, failure)).rejects.toMatchObject(
      { code: 'record-damaged', message: expect.stringContaining(cause.message) },
    );
    expect((await store.getManifest(id))?.state).toBe('complete');
  });

  it('marks nothing if the record could not be read, from whatever source', async () => {
    for (const url of [URL, undefined]) {
      const { store, id, record } = await damagedModel(url);
      const failure = new MixtabError('record-unreadable', 'not now', 'Try again.');
      const other = async () => new BlobByteSource(blobOf(2), 'tiny.gguf');
      await expect(repairRecord({ store, open: other }, id, record, failure)).rejects.toMatchObject({
        code: 'record-unreadable',
        remedy: 'Try again.',
      });
      expect((await store.getManifest(id))?.state).toBe('complete');
    }
  });

  it('does not list a model again that another tab has removed meanwhile', async () => {
    const { store, id, record, failure } = await damagedModel(URL);
    const open = async () => {
      await store.removeModel(id);
      return new BlobByteSource(blobOf(2), 'tiny.gguf');
    };
    await expect(repairRecord({ store, open }, id, record, failure)).rejects.toMatchObject({ code: 'record-damaged' });
    expect(await store.listManifests()).toEqual([]);
  });

  it('reports that the browser has cleared the model', async () => {
    const { store, id, record, failure } = await damagedModel(URL);
    await store.removeModel(id);
    const open = () => Promise.reject(new Error('never asked'));
    await expect(repairRecord({ store, open }, id, record, failure)).rejects.toMatchObject({ code: 'model-not-found' });
  });
});
