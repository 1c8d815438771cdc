/** Imports into a store that works, and into stores that fail: the list of models stays as it was. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { MixtabError } from '../../src/contract/errors.ts';
import type { ImportProgress } from '../../src/contract/import-api.ts';
import { isExpertKey } from '../format/manifest.ts';
import { dequantize } from '../format/quantization/dequantize.ts';
import { WEIGHT_TYPES, type WeightTypeName } from '../format/weight-layout.ts';
import { MemoryStore, MemoryValues } from '../store/memory-store.ts';
import { createSynth, type SynthOptions, uniformTypes } from '../synth/synth.ts';
import type { ByteSource } from './byte-source.ts';
import { DISCARD } from './import-inputs.ts';
import { importTiny, sourceOf, TINY } from './testing.ts';
import { verifyModel } from './verify.ts';

/** Fails when record number `after` is written, counted from 0. */
class FailingValues extends MemoryValues {
  #remaining: number;

  constructor(
    after: number,
    private readonly error: () => Error,
  ) {
    super();
    this.#remaining = after;
  }

  override async write(changes: Parameters<MemoryValues['write']>[0]): Promise<void> {
    if (changes.set?.some(([key]) => key.startsWith('record/')) && this.#remaining-- <= 0) throw this.error();
    await super.write(changes);
  }
}

describe('importModel', () => {
  it('stores records with the weights of the file', async () => {
    const store = new MemoryStore();
    const progress: ImportProgress[] = [];
    const summary = await importTiny(store, TINY, { onProgress: (p) => progress.push(p) });
    expect(await store.listManifests()).toHaveLength(1);
    const manifest = (await store.getManifest(summary.id))!;
    expect(manifest.state).toBe('complete');
    expect(manifest.records).toHaveLength(20);
    expect(progress.at(-1)).toMatchObject({ recordsDone: 20, recordsTotal: 20 });
    expect(progress.at(-1)?.bytesDone).toBe(progress.at(-1)?.bytesTotal);

    // Expert 3 of layer 1: its up matrix, unpacked from the planes, equals the one in the file.
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
    const { readHeader } = await import('../format/gguf/header.ts');
    const { tensors } = await readHeader({ name: 'x', size: twin.size, read: async (at, n) => twin.read(at, n) });
    const up = tensors.find(({ name }) => name === 'blk.1.ffn_up.3.weight')!;
    expect(dequantize('Q4_K', blocks)).toEqual(dequantize('Q4_K', twin.read(up.offset, blocks.length)));
  });

  it('makes the same records from all layouts, and recognizes a stored file', async () => {
    const store = new MemoryStore();
    const merged = await importTiny(store, TINY);
    const again = await importTiny(store, TINY);
    expect(again.id).toBe(merged.id);
    expect(await store.listManifests()).toHaveLength(1);
    const separate = await importTiny(store, { ...TINY, layout: 'per-expert' });
    expect(separate.id).not.toBe(merged.id);
    const hashes = async (id: string) => (await store.getManifest(id))!.records.map(({ key, sha256 }) => [key, sha256]);
    expect(await hashes(separate.id)).toEqual(await hashes(merged.id));
    const fused = await importTiny(store, { ...TINY, layout: 'fused' });
    expect(await hashes(fused.id)).toEqual(await hashes(merged.id));
  });

  it.each(Object.keys(WEIGHT_TYPES) as WeightTypeName[])('%s: the same records from both layouts', async (type) => {
    const options: SynthOptions = {
      ...TINY,
      layers: 1,
      expertCount: 3,
      vocabularySize: 400,
      types: uniformTypes(type),
    };
    const [merged, separate] = await Promise.all(
      (['merged', 'per-expert'] as const).map(async (layout) => {
        const store = new MemoryStore();
        const { id } = await importTiny(store, { ...options, layout });
        return (await store.getManifest(id))!.records;
      }),
    );
    expect(merged.flatMap(({ tensors }) => tensors.map((tensor) => tensor.type))).toContain(type);
    expect(separate).toEqual(merged);
  });

  it('leaves other models alone when it fails, and nothing behind if nothing was stored', async () => {
    const values = new FailingValues(20, () => new MixtabError('storage-full', 'full'));
    const store = new MemoryStore(values);
    const first = await importTiny(store, TINY);
    const before = [...values.entries.keys()];
    await expect(importTiny(store, { ...TINY, seed: 2 })).rejects.toMatchObject({ code: 'storage-full' });
    expect([...values.entries.keys()]).toEqual(before);
    expect(await verifyModel(store, first.id, () => {})).toEqual([]);
  });

  it('stores nothing if there is not enough space', async () => {
    const values = new MemoryValues();
    const preflight = async (bytes: number) => {
      throw new MixtabError('storage-full', `needs ${bytes}`);
    };
    await expect(importTiny(new MemoryStore(values), TINY, { preflight })).rejects.toMatchObject({
      code: 'storage-full',
    });
    expect(values.entries.size).toBe(0);
  });

  it('can be given up at any time, and leaves nothing behind', async () => {
    const values = new MemoryValues();
    const controller = new AbortController();
    const onProgress = ({ recordsDone }: ImportProgress): void => {
      if (recordsDone >= 5) controller.abort(DISCARD);
    };
    await expect(
      importTiny(new MemoryStore(values), TINY, { signal: controller.signal, onProgress }),
    ).rejects.toMatchObject({
      code: 'aborted',
    });
    expect(values.entries.size).toBe(0);
  });
});

describe('small records', () => {
  afterEach(() => vi.restoreAllMocks());

  class CountingValues extends MemoryValues {
    /** Records in each transaction that wrote any. */
    readonly written: string[][] = [];
    /** Transactions that have not ended. */
    running = 0;
    override async write(changes: Parameters<MemoryValues['write']>[0]): Promise<void> {
      this.running++;
      const keys = (changes.set ?? []).map(([key]) => key).filter((key) => key.startsWith('record/'));
      if (keys.length > 0) this.written.push(keys.map((key) => key.split('/')[2]));
      await new Promise((resolve) => setTimeout(resolve, 1)); // a database takes some time too
      await super.write(changes);
      this.running--;
    }
  }

  it('are stored together, dense ones before experts, with the same content as alone', async () => {
    const values = new CountingValues();
    const store = new MemoryStore(values);
    const { id } = await importTiny(store, TINY, { batchBytes: 4e6 });
    expect(values.written.length).toBeLessThan(10);
    const firstExperts = values.written.findIndex((keys) => keys.some((key) => isExpertKey(key)));
    expect(values.written[firstExperts].every((key) => isExpertKey(key))).toBe(true);
    const alone = new MemoryStore();
    await importTiny(alone, TINY);
    expect((await store.getManifest(id))?.records).toEqual((await alone.getManifest(id))?.records);
    expect(await verifyModel(store, id, () => {})).toEqual([]);
  });

  it('are stored at once if nothing else is being stored', async () => {
    const values = new CountingValues();
    const source = sourceOf(TINY);
    // Hashes are computed by other threads, which may have to wait for a core.
    let hashing = 0;
    const digest = crypto.subtle.digest.bind(crypto.subtle);
    vi.spyOn(crypto.subtle, 'digest').mockImplementation((...args) => {
      hashing++;
      return digest(...args).finally(() => hashing--);
    });
    const slow: ByteSource = {
      name: source.name,
      size: source.size,
      read: async (...range) => {
        for (let idle = 0; idle < 3; idle = hashing + values.running > 0 ? 0 : idle + 1)
          await new Promise((resolve) => setTimeout(resolve, 2));
        return source.read(...range);
      },
    };
    await importTiny(new MemoryStore(values), TINY, { batchBytes: 4e6, source: slow });
    expect(values.written.every((keys) => keys.length === 1)).toBe(true);
  });
});
