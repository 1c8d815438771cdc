/** Imports of files with NaN weights, fused matrices, ids outside the vocabulary and endless names. */
import { describe, expect, it } from 'vitest';
import type { ImportProgress } from '../../src/contract/import-api.ts';
import { readHeader } from '../format/gguf/header.ts';
import { codeOf } from '../format/gguf/testing.ts';
import { MemoryStore } from '../store/memory-store.ts';
import { createSynth, type SynthOptions, uniformTypes } from '../synth/synth.ts';
import { BlobByteSource } from './byte-source.ts';
import { importTiny, sourceOf, TINY } from './testing.ts';

/**
 * A source of a model in which the scale of the first block of expert 3's down matrix has these bits.
 * @param at byte of the scale in the block
 */
async function spoiled(options: SynthOptions, at: number, bits: number): Promise<BlobByteSource> {
  const source = sourceOf(options);
  const bytes = await source.read(0, source.size);
  const { tensors } = await readHeader(source);
  const index = tensors.findIndex(({ name }) => name === 'blk.1.ffn_down_exps.weight');
  const expertBytes = (tensors[index + 1].offset - tensors[index].offset) / options.expertCount;
  new DataView(bytes.buffer).setUint16(tensors[index].offset + 3 * expertBytes + at, bits, true);
  return new BlobByteSource(new Blob([bytes]), 'spoiled.gguf');
}

describe('weights that are no numbers', () => {
  const small = { ...TINY, layers: 2 };
  it.each([
    ['Q8_0', 'NaN', 0, 0x7e00],
    ['Q8_0', 'infinity', 0, 0x7c00],
    ['Q4_K', 'NaN', 0, 0x7e00],
    ['F16', 'infinity', 0, 0xfc00],
    ['F32', 'NaN', 2, 0x7fc0],
  ] as const)(
    '%s with %s: refused, naming tensor and expert; nothing is left in the store',
    async (type, _, at, bits) => {
      const options = { ...small, types: uniformTypes(type) };
      const store = new MemoryStore();
      const source = await spoiled(options, at, bits);
      const work = importTiny(store, options, { source });
      await expect(work).rejects.toThrow(
        /blk\.1\.ffn_down_exps\.weight has NaN or infinite weights \(record L1\.E3, row 0\)/,
      );
      expect(await codeOf(importTiny(store, options, { source }))).toBe('gguf-damaged');
      expect(await store.listManifests()).toEqual([]);
    },
  );
});

describe('queries, keys and values in one tensor', () => {
  it('become the records of the file that has them apart', async () => {
    const store = new MemoryStore();
    const apart = await importTiny(store, TINY);
    const fused = await importTiny(store, { ...TINY, fusedQkv: true });
    expect(fused.id).not.toBe(apart.id);
    const hashes = async (id: string) => (await store.getManifest(id))!.records.map(({ key, sha256 }) => [key, sha256]);
    expect(await hashes(fused.id)).toEqual(await hashes(apart.id));
  });

  it('must have as many rows as all three together', async () => {
    const synth = createSynth({ ...TINY, fusedQkv: true, metadata: { 'llama.attention.head_count_kv': { u32: 4 } } });
    const source = new BlobByteSource(new Blob([synth.read(0, synth.size)]), 'x.gguf');
    const work = importTiny(new MemoryStore(), TINY, { source });
    await expect(work).rejects.toThrow(/attn_qkv\.weight has the shape \[256, 512\] instead of \[256, 768\]/);
  });
});

describe('metadata', () => {
  it('warns of ids outside the vocabulary while it imports', async () => {
    const progress: ImportProgress[] = [];
    const options = { ...TINY, metadata: { 'tokenizer.ggml.eos_token_id': { u32: 4294967295 } } };
    const store = new MemoryStore();
    const { id } = await importTiny(store, options, { onProgress: (p) => progress.push(p) });
    expect(progress.at(-1)?.warning).toContain('tokenizer.ggml.eos_token_id is 4294967295');
    expect((await store.getManifest(id))!.tokenizer.eosId).toBe(2);
  });

  it('names a model after its file if it has a blank name', async () => {
    const options = { ...TINY, metadata: { 'general.name': { string: ' \n' } } };
    expect((await importTiny(new MemoryStore(), options)).name).toBe('tiny');
  });

  it('cuts names that would fill the page', async () => {
    const long = 'x'.repeat(900_000);
    const { name, description } = await importTiny(new MemoryStore(), {
      ...TINY,
      metadata: { 'general.name': { string: long }, 'general.description': { string: long } },
    });
    expect(name.length).toBeLessThan(250);
    expect(description?.length).toBeLessThan(2100);
  });
});
