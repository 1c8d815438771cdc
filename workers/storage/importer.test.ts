/** Import into a store that works, and into stores that fail: the catalog stays as it was. */
import { describe, expect, it } from 'vitest';
import type { ImportProgress } from '../../src/contract/engine-api.ts';
import { MixtabError } from '../../src/contract/errors.ts';
import { WEIGHT_TYPES, type WeightTypeName } from '../../src/contract/weight-layout.ts';
import { dequantize } from '../gguf/dequantize.ts';
import { SYNTH_PRESETS } from '../gguf/synth/presets.ts';
import { createSynth, type SynthOptions, uniformTypes } from '../gguf/synth/synth.ts';
import { BlobByteSource } from './byte-source.ts';
import { importModel, verifyModel } from './importer.ts';
import { MemoryStore, MemoryValues } from './memory-store.ts';

const TINY: SynthOptions = SYNTH_PRESETS.tiny;

function sourceOf(options: SynthOptions): BlobByteSource {
  const synth = createSynth(options);
  return new BlobByteSource(new Blob([synth.read(0, synth.size)]), 'tiny.gguf');
}

const run = (store: MemoryStore, options: SynthOptions, more: Partial<Parameters<typeof importModel>[0]> = {}) =>
  importModel({
    store, source: sourceOf(options), kind: 'file', signal: new AbortController().signal, onProgress: () => {},
    preflight: async () => {}, ...more,
  });

/** Fails when the n-th record is written. */
class FailingValues extends MemoryValues {
  #left: number;

  constructor(
    after: number,
    private readonly error: () => Error,
  ) {
    super();
    this.#left = after;
  }

  override async write(changes: Parameters<MemoryValues['write']>[0]): Promise<void> {
    if (changes.set?.some(([key]) => key.startsWith('record/')) && this.#left-- <= 0) throw this.error();
    await super.write(changes);
  }
}

describe('importModel', () => {
  it('stores records that hold the weights of the file', async () => {
    const store = new MemoryStore();
    const progress: ImportProgress[] = [];
    const summary = await run(store, TINY, { onProgress: (p) => progress.push(p) });
    expect(await store.listManifests()).toHaveLength(1);
    const manifest = (await store.getManifest(summary.id))!;
    expect(manifest.state).toBe('complete');
    expect(manifest.records).toHaveLength(20);
    expect(progress.at(-1)).toMatchObject({ recordsDone: 20, recordsTotal: 20 });
    expect(progress.at(-1)?.bytesDone).toBe(progress.at(-1)?.bytesTotal);

    // Expert 3 of layer 1: unpacked from its planes, up is what the file has at that place.
    const record = manifest.records.find(({ key }) => key === 'L1.E3')!;
    const bytes = await store.readRecordVerified(summary.id, record);
    const layout = record.tensors.find(({ name }) => name === 'up')!;
    const { planes, blockBytes } = WEIGHT_TYPES[layout.type];
    const blocks = new Uint8Array(256 * blockBytes);
    for (let b = 0; b < 256; b++) {
      for (const [plane, { offset, bytes: length }] of planes.entries()) {
        const at = layout.offset + layout.planeOffsets[plane] + b * length;
        blocks.set(bytes.subarray(at, at + length), b * blockBytes + offset);
      }
    }
    const twin = createSynth({ ...TINY, layout: 'per-expert' });
    const { readHeader } = await import('../gguf/header.ts');
    const { tensors } = await readHeader({ name: 'x', size: twin.size, read: async (at, n) => twin.read(at, n) });
    const up = tensors.find(({ name }) => name === 'blk.1.ffn_up.3.weight')!;
    expect(dequantize('Q4_K', blocks)).toEqual(dequantize('Q4_K', twin.read(up.offset, blocks.length)));
  });

  it('makes the same records of all layouts, and knows a file it has', async () => {
    const store = new MemoryStore();
    const merged = await run(store, TINY);
    const again = await run(store, TINY);
    expect(again.id).toBe(merged.id);
    expect(await store.listManifests()).toHaveLength(1);
    const separate = await run(store, { ...TINY, layout: 'per-expert' });
    expect(separate.id).not.toBe(merged.id);
    const hashes = async (id: string) => (await store.getManifest(id))!.records.map(({ key, sha256 }) => [key, sha256]);
    expect(await hashes(separate.id)).toEqual(await hashes(merged.id));
    const fused = await run(store, { ...TINY, layout: 'fused' });
    expect(await hashes(fused.id)).toEqual(await hashes(merged.id));
  });

  it.each(Object.keys(WEIGHT_TYPES) as WeightTypeName[])('%s: the same records of both layouts', async (type) => {
    const options: SynthOptions = { ...TINY, layers: 1, expertCount: 3, vocabularySize: 400, types: uniformTypes(type) };
    const [merged, separate] = await Promise.all(
      (['merged', 'per-expert'] as const).map(async (layout) => {
        const store = new MemoryStore();
        const { id } = await run(store, { ...options, layout });
        return (await store.getManifest(id))!.records;
      }),
    );
    expect(merged.flatMap(({ tensors }) => tensors.map((tensor) => tensor.type))).toContain(type);
    expect(separate).toEqual(merged);
  });

  it.each([0, 1, 7, 19])('leaves nothing where the store is full after %i records', async (after) => {
    const values = new FailingValues(after, () => new MixtabError('storage-full', 'full'));
    const store = new MemoryStore(values);
    await expect(run(store, TINY)).rejects.toMatchObject({ code: 'storage-full' });
    expect(values.entries.size).toBe(0);
  });

  it('leaves other models alone when it fails', async () => {
    const values = new FailingValues(25, () => new MixtabError('storage-full', 'full'));
    const store = new MemoryStore(values);
    const first = await run(store, TINY);
    const before = [...values.entries.keys()];
    await expect(run(store, { ...TINY, seed: 2 })).rejects.toMatchObject({ code: 'storage-full' });
    expect([...values.entries.keys()]).toEqual(before);
    expect(await verifyModel(store, first.id, () => {})).toEqual([]);
  });

  it('stores nothing where the space will not do', async () => {
    const values = new MemoryValues();
    const preflight = async (bytes: number) => {
      throw new MixtabError('storage-full', `needs ${bytes}`);
    };
    await expect(run(new MemoryStore(values), TINY, { preflight })).rejects.toMatchObject({ code: 'storage-full' });
    expect(values.entries.size).toBe(0);
  });

  it('can be stopped at any time, and leaves nothing', async () => {
    const values = new MemoryValues();
    const controller = new AbortController();
    const onProgress = ({ recordsDone }: ImportProgress): void => {
      if (recordsDone >= 5) controller.abort();
    };
    await expect(run(new MemoryStore(values), TINY, { signal: controller.signal, onProgress })).rejects.toMatchObject({ code: 'aborted' });
    expect(values.entries.size).toBe(0);
  });
});

describe('damaged records', () => {
  it('are found, named, and never read as weights', async () => {
    const values = new MemoryValues();
    const store = new MemoryStore(values);
    const { id } = await run(store, TINY);
    const key = [...values.entries.keys()].find((entry) => entry.startsWith(`record/${id}/L0.E2/`))!;
    const bytes = new Uint8Array(await (values.entries.get(key) as Blob).arrayBuffer());
    bytes[1000] ^= 1;
    values.entries.set(key, new Blob([bytes]));
    const record = (await store.getManifest(id))!.records.find((info) => info.key === 'L0.E2')!;
    await expect(store.readRecordVerified(id, record)).rejects.toMatchObject({ code: 'record-damaged', message: expect.stringContaining('L0.E2') });
    expect(await verifyModel(store, id, () => {})).toEqual(['L0.E2']);
    expect((await store.getManifest(id))?.state).toBe('damaged');
    values.entries.delete(key);
    await expect(store.readRecord(id, record)).rejects.toMatchObject({ code: 'record-missing' });
  });
});
