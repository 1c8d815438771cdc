/** A model's id: two files with the same header are distinguished, and models of earlier versions are still found. */
import { describe, expect, it } from 'vitest';
import { readHeader } from '../format/gguf/header.ts';
import type { ModelManifest } from '../format/manifest.ts';
import { MemoryStore, MemoryValues } from '../store/memory-store.ts';
import type { ImportJournal } from '../store/store.ts';
import { createSynth, type SynthOptions } from '../synth/synth.ts';
import { BlobByteSource } from './byte-source.ts';
import { CountingSource, countingSource, importTiny, TINY } from './testing.ts';

/** The id of TINY in versions that sampled 16 places: from those versions themselves. */
const EARLIER_ID = 'b5db802b595ab2a6';
const EARLIER_ID_PER_EXPERT = '1d9c9c0ba9750d5c';

const bytesOf = (options: SynthOptions = TINY): Uint8Array<ArrayBuffer> => {
  const synth = createSynth(options);
  return synth.read(0, synth.size);
};

/** The file with other weights in the tensors whose names match. */
async function tunedFile(tensors: RegExp): Promise<CountingSource> {
  const bytes = bytesOf();
  const file = new BlobByteSource(new Blob([bytes]), 'tiny.gguf');
  const header = await readHeader(file);
  const sorted = [...header.tensors].sort((a, b) => a.offset - b.offset);
  // Not the 16 samples of earlier ids.
  const start = sorted[0].offset;
  const sampled = Array.from({ length: 16 }, (_, n) => Math.floor(start + ((bytes.length - start) * n) / 16));
  for (const [n, { name, offset }] of sorted.entries()) {
    if (!tensors.test(name)) continue;
    const end = sorted[n + 1]?.offset ?? bytes.length;
    for (let at = offset; at < end; at++) if (!sampled.some((s) => at >= s && at < s + 1024)) bytes[at] ^= 0x15;
  }
  return new CountingSource(new Blob([bytes]), 'tuned.gguf');
}

/** Renames all entries of a model, as if a version with other ids had stored it. */
async function renameModel(values: MemoryValues, from: string, to: string): Promise<void> {
  for (const [key, value] of [...values.entries]) {
    if (!key.includes(from)) continue;
    values.entries.delete(key);
    const renamed = value instanceof Blob ? value : { ...(value as ModelManifest | ImportJournal), id: to };
    values.entries.set(key.replace(from, to), renamed);
  }
}

/** TINY, stored by an earlier version. */
async function earlierModel(options: SynthOptions = TINY, id = EARLIER_ID) {
  const values = new MemoryValues();
  const store = new MemoryStore(values);
  await renameModel(values, (await importTiny(store, options)).id, id);
  return { values, store };
}

describe("a model's id", () => {
  it.each([
    ['the router', /ffn_gate_inp/],
    ['the norms', /norm/],
    ['the output', /^output\.weight/],
    ['the embedding', /token_embd/],
    ['the attention of one layer', /^blk\.1\.attn_v/],
    ['everything', /./],
  ])('differs if a tune changed only %s', async (_name, tensors) => {
    const store = new MemoryStore();
    const first = await importTiny(store, TINY);
    const source = await tunedFile(tensors);
    const second = await importTiny(store, TINY, { source });
    expect(second.id).not.toBe(first.id);
    expect(source.bytes).toBeGreaterThan(0);
    expect(await store.listManifests()).toHaveLength(2);
  });

  it('is the same for the same file', async () => {
    const store = new MemoryStore();
    const { id } = await importTiny(store, TINY);
    const source = countingSource(TINY);
    expect((await importTiny(store, TINY, { source })).id).toBe(id);
    expect(source.bytes).toBe(0);
  });
});

describe('a model of an earlier version', () => {
  it.each([
    ['merged', EARLIER_ID],
    ['per-expert', EARLIER_ID_PER_EXPERT],
  ] as const)('is found by its earlier id (%s)', async (layout, earlierId) => {
    const options = { ...TINY, layout };
    const { store } = await earlierModel(options, earlierId);
    const source = countingSource(options);
    expect((await importTiny(store, options, { source })).id).toBe(earlierId);
    expect(source.bytes).toBe(0);
    expect(await store.listManifests()).toHaveLength(1);
  });

  it.each([
    ['the router', /ffn_gate_inp/],
    ['the output', /^output\.weight/],
    ['everything', /./],
  ])('is not taken for a tune that changed only %s', async (_name, tensors) => {
    const { store } = await earlierModel();
    const { id } = await importTiny(store, TINY, { source: await tunedFile(tensors) });
    expect(id).not.toBe(EARLIER_ID);
    expect(await store.listManifests()).toHaveLength(2);
  });

  it('continues to be imported', async () => {
    const { values, store } = await earlierModel();
    const manifest = (await store.getManifest(EARLIER_ID))!;
    const { layoutVersion, name, origin } = manifest;
    const records = manifest.records.slice(0, 12);
    values.entries.delete(`model/${EARLIER_ID}`);
    await store.putJournal({ id: EARLIER_ID, layoutVersion, name, origin, bytesTotal: 1, records });
    const source = countingSource(TINY);
    const { id } = await importTiny(store, TINY, { source });
    expect(id).toBe(EARLIER_ID);
    expect((await store.getManifest(id))?.records).toEqual(manifest.records);
    expect(source.bytes).toBeLessThan(source.size * 0.6);
  });
});
