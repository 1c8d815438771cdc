/** Imports into a store that works, and into stores that fail: the list of models stays as it was. */
import { describe, expect, it } from 'vitest';
import { MixtabError } from '../../src/contract/errors.ts';
import type { ImportProgress } from '../../src/contract/import-api.ts';
import { isExpertKey } from '../format/manifest.ts';
import { dequantize } from '../format/quantization/dequantize.ts';
import { WEIGHT_TYPES, type WeightTypeName } from '../format/weight-layout.ts';
import { MemoryStore, MemoryValues } from '../store/memory-store.ts';
import { judgeSpace } from '../store/storage-space.ts';
import { SYNTH_PRESETS } from '../synth/presets.ts';
import { createSynth, type SynthOptions, uniformTypes } from '../synth/synth.ts';
import { BlobByteSource, type ByteSource } from './byte-source.ts';
import { PAUSE } from './import-inputs.ts';
import { importModel } from './importer.ts';
import { repairModel } from './repair.ts';
import { verifyModel } from './verify.ts';

const TINY: SynthOptions = SYNTH_PRESETS.tiny;

function sourceOf(options: SynthOptions): BlobByteSource {
  const synth = createSynth(options);
  return new BlobByteSource(new Blob([synth.read(0, synth.size)]), 'tiny.gguf');
}

const run = (store: MemoryStore, options: SynthOptions, more: Partial<Parameters<typeof importModel>[0]> = {}) =>
  importModel({
    store,
    source: sourceOf(options),
    kind: 'file',
    signal: new AbortController().signal,
    onProgress: () => {},
    preflight: async () => undefined,
    batchBytes: 0,
    ...more,
  });

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
    const summary = await run(store, TINY, { onProgress: (p) => progress.push(p) });
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
        const { id } = await run(store, { ...options, layout });
        return (await store.getManifest(id))!.records;
      }),
    );
    expect(merged.flatMap(({ tensors }) => tensors.map((tensor) => tensor.type))).toContain(type);
    expect(separate).toEqual(merged);
  });

  it.each([0, 1, 7, 19])('leaves nothing behind if the store is full after %i records', async (after) => {
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

  it('stores nothing if there is not enough space', async () => {
    const values = new MemoryValues();
    const preflight = async (bytes: number) => {
      throw new MixtabError('storage-full', `needs ${bytes}`);
    };
    await expect(run(new MemoryStore(values), TINY, { preflight })).rejects.toMatchObject({ code: 'storage-full' });
    expect(values.entries.size).toBe(0);
  });

  it('can be cancelled at any time, and leaves nothing behind', async () => {
    const values = new MemoryValues();
    const controller = new AbortController();
    const onProgress = ({ recordsDone }: ImportProgress): void => {
      if (recordsDone >= 5) controller.abort();
    };
    await expect(run(new MemoryStore(values), TINY, { signal: controller.signal, onProgress })).rejects.toMatchObject({
      code: 'aborted',
    });
    expect(values.entries.size).toBe(0);
  });
});

describe('small records', () => {
  class CountingValues extends MemoryValues {
    /** Records in each transaction that wrote any. */
    readonly written: string[][] = [];
    override async write(changes: Parameters<MemoryValues['write']>[0]): Promise<void> {
      const keys = (changes.set ?? []).map(([key]) => key).filter((key) => key.startsWith('record/'));
      if (keys.length > 0) this.written.push(keys.map((key) => key.split('/')[2]));
      await new Promise((resolve) => setTimeout(resolve, 1)); // a database takes some time too
      await super.write(changes);
    }
  }

  it('are stored together, dense ones before experts, with the same content as alone', async () => {
    const values = new CountingValues();
    const store = new MemoryStore(values);
    const { id } = await run(store, TINY, { batchBytes: 4e6 });
    expect(values.written.length).toBeLessThan(10);
    const firstExperts = values.written.findIndex((keys) => keys.some((key) => isExpertKey(key)));
    expect(values.written[firstExperts].every((key) => isExpertKey(key))).toBe(true);
    const alone = new MemoryStore();
    await run(alone, TINY);
    expect((await store.getManifest(id))?.records).toEqual((await alone.getManifest(id))?.records);
    expect(await verifyModel(store, id, () => {})).toEqual([]);
  });

  it('are stored at once if nothing else is being stored', async () => {
    const values = new CountingValues();
    const source = sourceOf(TINY);
    const slow: ByteSource = {
      name: source.name,
      size: source.size,
      read: async (...range) => {
        await new Promise((resolve) => setTimeout(resolve, 20));
        return source.read(...range);
      },
    };
    await run(new MemoryStore(values), TINY, { batchBytes: 4e6, source: slow });
    expect(values.written.every((keys) => keys.length === 1)).toBe(true);
  });
});

/** Simulates a tab that is closed: after `remaining` writes of records, writes have no effect and never settle. */
class ClosedTab extends MemoryValues {
  #close = (): void => {};
  closed = new Promise<void>((resolve) => {
    this.#close = resolve;
  });

  constructor(
    private readonly values: MemoryValues,
    private remaining: number,
  ) {
    super();
  }

  override keys = (prefix: string) => this.values.keys(prefix);
  override get = (key: string) => this.values.get(key);
  override getMany = (keys: string[]) => this.values.getMany(keys);
  override getAll = (prefix: string) => this.values.getAll(prefix);
  override write = async (changes: Parameters<MemoryValues['write']>[0]): Promise<void> => {
    if (changes.set?.some(([key]) => key.startsWith('record/'))) this.remaining--;
    if (this.remaining >= 0) return this.values.write(changes);
    this.#close();
    return new Promise(() => {});
  };
}

/** Counts the bytes of weights that are read. */
class CountingSource extends BlobByteSource {
  bytes = 0;
  override async read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    if (length > 1024 && length < 1_000_000) this.bytes += length; // neither the samples nor the header
    return super.read(offset, length, signal);
  }
}
const countingSource = (options: SynthOptions): CountingSource => {
  const synth = createSynth(options);
  return new CountingSource(new Blob([synth.read(0, synth.size)]), 'tiny.gguf');
};

describe('an interrupted import', () => {
  const fresh = async () => {
    const store = new MemoryStore();
    const source = countingSource(TINY);
    const { id } = await run(store, TINY, { source });
    const { importedAt: _importedAt, ...manifest } = (await store.getManifest(id))!;
    return { id, manifest, bytes: source.bytes };
  };

  it.each([0, 1, 9, 19])(
    'continues after %i records, with the same result as an uninterrupted one',
    async (records) => {
      const whole = await fresh();
      const values = new MemoryValues();
      const tab = new ClosedTab(values, records);
      void run(new MemoryStore(tab), TINY);
      await tab.closed;
      const store = new MemoryStore(values);
      expect(await store.listManifests()).toEqual([]);
      expect((await store.listJournals()).map(({ id, name, records: done }) => [id, name, done.length])).toEqual([
        [whole.id, 'synthetic Mixtral', records],
      ]);

      const source = countingSource(TINY);
      const progress: ImportProgress[] = [];
      await run(store, TINY, { source, onProgress: (p) => progress.push(p) });
      expect(progress.find(({ phase }) => phase === 'records')).toMatchObject({
        recordsDone: records,
        recordsTotal: 20,
      });
      if (records > 1) expect(source.bytes).toBeLessThan(whole.bytes);
      if (records === 19) expect(source.bytes).toBeLessThan(whole.bytes / 3);
      const { importedAt: _importedAt, ...manifest } = (await store.getManifest(whole.id))!;
      expect(manifest).toEqual(whole.manifest);
      expect(await verifyModel(store, whole.id, () => {})).toEqual([]);
      expect(await store.listJournals()).toEqual([]);
    },
  );

  it('makes a record again if its bytes are gone, and ignores a journal of another layout version', async () => {
    const { id, manifest } = await fresh();
    for (const damage of [
      (values: MemoryValues) => values.entries.delete(`record/${id}/L0.E2/0000`),
      (values: MemoryValues) =>
        values.entries.set(`import/${id}`, { ...(values.entries.get(`import/${id}`) as object), layoutVersion: -1 }),
    ]) {
      const values = new MemoryValues();
      const tab = new ClosedTab(values, 9);
      void run(new MemoryStore(tab), TINY);
      await tab.closed;
      damage(values);
      const store = new MemoryStore(values);
      await run(store, TINY);
      expect((await store.getManifest(id))?.records).toEqual(manifest.records);
      expect(await verifyModel(store, id, () => {})).toEqual([]);
    }
  });

  it('keeps what is stored when it is paused or its source is unreachable', async () => {
    for (const stop of ['pause', 'network']) {
      const store = new MemoryStore();
      const controller = new AbortController();
      const source = countingSource(TINY);
      const onProgress = ({ recordsDone }: ImportProgress): void => {
        if (recordsDone < 5) return;
        if (stop === 'pause') controller.abort(PAUSE);
        else source.read = () => Promise.reject(new MixtabError('source-unreachable', 'gone'));
      };
      const code = stop === 'pause' ? 'aborted' : 'source-unreachable';
      await expect(run(store, TINY, { signal: controller.signal, onProgress, source })).rejects.toMatchObject({ code });
      const [journal] = await store.listJournals();
      expect(journal.records.length).toBeGreaterThanOrEqual(5);
      expect(await store.listManifests()).toEqual([]);
      // After it is discarded, nothing is left.
      await store.removeModel(journal.id);
      expect(await store.listLeftovers()).toEqual([]);
    }
  });

  it('requires space only for what is missing', async () => {
    const values = new MemoryValues();
    const tab = new ClosedTab(values, 9);
    void run(new MemoryStore(tab), TINY);
    await tab.closed;
    const required: number[] = [];
    const warnings = new Set<string | undefined>();
    const preflight = async (bytes: number) => {
      required.push(bytes);
      return 'little space';
    };
    const { storedBytes } = await run(new MemoryStore(values), TINY, {
      preflight,
      onProgress: ({ phase, warning }) => phase === 'records' && warnings.add(warning),
    });
    expect(required[0]).toBeLessThan(storedBytes * 0.7);
    expect([...warnings]).toEqual(['little space']);
  });
});

describe('judgeSpace', () => {
  it("refuses only if the reported space is below the browser's cap", () => {
    const GiB = 2 ** 30;
    expect(judgeSpace(5e9, undefined)).toBe('enough');
    expect(judgeSpace(5e9, 6e9)).toBe('enough');
    expect(judgeSpace(5e9, 4e9)).toBe('refuse');
    expect(judgeSpace(26e9, 10 * GiB)).toBe('maybe');
    expect(judgeSpace(26e9, 20e9)).toBe('maybe');
  });
});

describe('damaged records', () => {
  it('are found, named, and never used as weights', async () => {
    const values = new MemoryValues();
    const store = new MemoryStore(values);
    const { id } = await run(store, TINY);
    const key = [...values.entries.keys()].find((entry) => entry.startsWith(`record/${id}/L0.E2/`))!;
    const bytes = new Uint8Array(await (values.entries.get(key) as Blob).arrayBuffer());
    bytes[1000] ^= 1;
    values.entries.set(key, new Blob([bytes]));
    const record = (await store.getManifest(id))!.records.find((info) => info.key === 'L0.E2')!;
    await expect(store.readRecordVerified(id, record)).rejects.toMatchObject({
      code: 'record-damaged',
      message: expect.stringContaining('L0.E2'),
    });
    expect(await verifyModel(store, id, () => {})).toEqual(['L0.E2']);
    expect((await store.getManifest(id))?.state).toBe('damaged');
    values.entries.delete(key);
    await expect(store.readRecord(id, record)).rejects.toMatchObject({ code: 'record-missing' });
  });

  it('are written again, and no others, when the same file is imported again', async () => {
    const values = new MemoryValues();
    const store = new MemoryStore(values);
    const { id } = await run(store, TINY);
    const before = await store.getManifest(id);
    values.entries.set(`record/${id}/L0.E2/0000`, new Blob([new Uint8Array(100)]));
    values.entries.delete(`record/${id}/L1.dense/0000`);
    expect(await verifyModel(store, id, () => {})).toEqual(['L0.E2', 'L1.dense']);
    const source = countingSource(TINY);
    const summary = await run(store, TINY, { source });
    expect(summary).toMatchObject({ id, state: 'complete' });
    const damaged = before!.records.filter(({ key }) => ['L0.E2', 'L1.dense'].includes(key));
    expect(source.bytes).toBeLessThan(damaged.reduce((sum, { bytes }) => sum + bytes, 0) + 1);
    expect(await store.getManifest(id)).toEqual(before);
    expect(await verifyModel(store, id, () => {})).toEqual([]);
  });

  it('are not replaced by those of another file', async () => {
    const values = new MemoryValues();
    const store = new MemoryStore(values);
    const { id } = await run(store, TINY);
    values.entries.delete(`record/${id}/L1.dense/0000`);
    const manifest = (await store.getManifest(id))!;
    const inputs = {
      store,
      kind: 'url' as const,
      signal: new AbortController().signal,
      onProgress: () => {},
      preflight: async () => undefined,
    };
    await expect(repairModel({ ...inputs, source: sourceOf({ ...TINY, seed: 2 }) }, manifest)).rejects.toMatchObject({
      code: 'source-changed',
    });
    expect(await repairModel({ ...inputs, source: sourceOf(TINY) }, manifest)).toMatchObject({ state: 'complete' });
    expect(await verifyModel(store, id, () => {})).toEqual([]);
  });
});
