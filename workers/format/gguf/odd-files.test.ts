/** Files with doubled names, overlapping tensors, absurd counts or ids outside the vocabulary. */
import { describe, expect, it } from 'vitest';
import { type MetadataValue, writeHeader } from '../../synth/header-writer.ts';
import { readConfig } from './config.ts';
import { type GgufHeader, readHeader } from './header.ts';
import { planImport } from './plan.ts';
import { codeOf, fileOf, headerOf, TINY } from './testing.ts';
import { readTokenizer, tokenizerWarnings } from './tokenizer-data.ts';

/** Two tensors of 32 F32 weights each, at offsets of their own. */
const TWO_TENSORS = ['a', 'b'].map((name) => ({ name, shape: [32], ggmlType: 0, bytes: 128 }));

/** A file with this header, followed by room for the tensors. */
function headerFile(entries: [string, MetadataValue][], tensors: Parameters<typeof writeHeader>[1]) {
  const header = writeHeader(entries, tensors);
  const bytes = new Uint8Array(header.length + 4096);
  bytes.set(header);
  return { ...fileOf(bytes), bytes, headerBytes: header.length };
}

const messageOf = async (work: Promise<unknown> | (() => unknown)): Promise<string> => {
  try {
    await (typeof work === 'function' ? work() : work);
    return 'no error';
  } catch (error) {
    return (error as Error).message;
  }
};

describe('names that occur twice', () => {
  it('names a metadata key that occurs twice', async () => {
    const file = headerFile(
      [
        ['llama.expert_used_count', { u32: 2 }],
        ['general.name', { string: 'x' }],
        ['llama.expert_used_count', { u32: 1 }],
      ],
      [],
    );
    expect(await codeOf(readHeader(file))).toBe('gguf-damaged');
    expect(await messageOf(readHeader(file))).toContain('the metadata key llama.expert_used_count twice');
  });

  it('names a tensor that occurs twice', async () => {
    const file = headerFile([], [...TWO_TENSORS, TWO_TENSORS[0]]);
    expect(await codeOf(readHeader(file))).toBe('gguf-damaged');
    expect(await messageOf(readHeader(file))).toContain('the tensor a twice');
  });

  it('reads the keys __proto__ and constructor like any other', async () => {
    const strings = ['llama.expert_count'];
    const { metadata } = await readHeader(
      headerFile(
        [
          ['__proto__', { strings }],
          ['constructor', { u32: 3 }],
        ],
        [],
      ),
    );
    expect(Object.entries(metadata)).toEqual([
      ['__proto__', strings],
      ['constructor', 3],
    ]);
    // Neither a key of Object's prototype nor one of the list is in the metadata.
    expect(metadata.toString).toBeUndefined();
    expect(metadata.length).toBeUndefined();
  });
});

describe('tensors that share bytes', () => {
  it('names both of them', async () => {
    const file = headerFile([], TWO_TENSORS);
    // The header ends with the second tensor's offset, 128, and padding.
    const view = new DataView(file.bytes.buffer);
    let at = file.headerBytes - 8;
    while (view.getBigUint64(at, true) !== 128n) at--;
    expect(await codeOf(readHeader(file))).toBe('no error');
    for (const offset of [0n, 64n, 124n]) {
      view.setBigUint64(at, offset, true);
      expect(await codeOf(readHeader(file))).toBe('gguf-damaged');
      expect(await messageOf(readHeader(file))).toMatch(/tensors (a and b|b and a) overlap/);
    }
  });
});

describe('counts and texts', () => {
  it('refuses lists that have millions of entries together, and headers of more than 32 MB', async () => {
    const strings = new Array(300_000).fill('');
    const file = headerFile(
      Array.from({ length: 7 }, (_, n) => [`list ${n}`, { strings }]),
      [],
    );
    await expect(readHeader(file)).rejects.toMatchObject({
      code: 'gguf-damaged',
      message: expect.stringContaining('lists have more than 2000000 entries'),
    });
    const string = 'x'.repeat(999_999);
    const long = headerFile(
      Array.from({ length: 34 }, (_, n) => [`text ${n}`, { string }]),
      [],
    );
    expect(await messageOf(readHeader(long))).toContain('header is longer than 33554432 bytes');
  });

  const changed = async (changes: Record<string, unknown>): Promise<Record<string, unknown>> => ({
    ...(await headerOf(TINY)).metadata,
    ...changes,
  });

  it.each([
    [{ 'llama.block_count': 512, 'llama.expert_count': 256 }, /512 layers of 256 experts/],
    [{ 'llama.context_length': 1024.5 }, /contextLength is 1024.5/],
    [{ 'llama.context_length': 4294967295 }, /contextLength is 4294967295/],
    [{ 'llama.context_length': Number.NaN }, /contextLength is NaN/],
  ])('refuses %j by name', async (changes, message) => {
    const values = await changed(changes);
    expect(await codeOf(() => readConfig('x.gguf', values))).toBe('gguf-damaged');
    expect(await messageOf(() => readConfig('x.gguf', values))).toMatch(message);
  });

  const long = 'x'.repeat(900_000);
  it.each([
    { 'general.architecture': long },
    { 'llama.rope.scaling.type': long },
    { 'llama.block_count': long },
    { 'llama.attention.scale': new Array(1_000_000).fill(7) },
    { 'llama.rope.freq_base': new Array(1_000_000).fill(7) },
    { 'tokenizer.ggml.model': long },
  ])('quotes no more than the beginning of a text from the file, case %#', async (changes) => {
    const values = await changed(changes as Record<string, unknown>);
    const read = (): void => {
      readConfig('x.gguf', values);
      readTokenizer('x.gguf', values);
    };
    expect(await codeOf(read)).toMatch(/^gguf-/);
    expect((await messageOf(read)).length).toBeLessThan(300);
  });

  it('quotes no more than the beginning of a tensor name', async () => {
    const header = await headerOf(TINY);
    const config = readConfig('x.gguf', header.metadata);
    const renamed: GgufHeader = { ...header, tensors: [...header.tensors, { ...header.tensors[0], name: long }] };
    expect((await messageOf(() => planImport('x.gguf', renamed, config))).length).toBeLessThan(300);
    const twice = headerFile(
      [],
      [TWO_TENSORS[0], { ...TWO_TENSORS[1], name: long }, { ...TWO_TENSORS[1], name: long }],
    );
    expect((await messageOf(readHeader(twice))).length).toBeLessThan(300);
  });
});

describe('vocabularies', () => {
  it('may have 20,000 control and user-defined tokens, but no more', async () => {
    const { metadata } = await headerOf(TINY);
    const withSpecials = (count: number): Record<string, unknown> => ({
      ...metadata,
      'tokenizer.ggml.tokens': Array.from({ length: 30_000 }, (_, id) => `<${id}>`),
      'tokenizer.ggml.scores': new Array(30_000).fill(0),
      'tokenizer.ggml.token_type': Array.from({ length: 30_000 }, (_, id) => (id < count ? 3 + (id % 2) : 1)),
    });
    expect(readTokenizer('x.gguf', withSpecials(20_000)).tokens).toHaveLength(30_000);
    expect(await codeOf(() => readTokenizer('x.gguf', withSpecials(20_001)))).toBe('gguf-damaged');
    expect(await messageOf(() => readTokenizer('x.gguf', withSpecials(20_001)))).toContain('20001 control');
  });
});

describe('ids of special tokens', () => {
  const withIds = async (ids: Record<string, unknown>): Promise<Record<string, unknown>> => ({
    ...(await headerOf(TINY)).metadata,
    ...Object.fromEntries(Object.entries(ids).map(([role, id]) => [`tokenizer.ggml.${role}_token_id`, id])),
  });

  it.each([-1, 512, 4294967295])(
    'outside the vocabulary (%i): the defaults of llama.cpp, with a warning',
    async (id) => {
      const values = await withIds({ bos: id, eos: id, unknown: id, eot: id });
      const tokenizer = readTokenizer('x.gguf', values);
      expect(tokenizer).toMatchObject({ bosId: 1, eosId: 2, unknownId: 0 });
      expect(tokenizer.endIds).toBeUndefined();
      const warnings = tokenizerWarnings(values);
      expect(warnings).toHaveLength(4);
      expect(warnings[0]).toContain(`tokenizer.ggml.bos_token_id is ${id}`);
    },
  );

  it('within the vocabulary: as they are, without a warning', async () => {
    const values = await withIds({ bos: 511, eos: 0, eot: 5 });
    expect(readTokenizer('x.gguf', values)).toMatchObject({ bosId: 511, eosId: 0, endIds: [5] });
    expect(tokenizerWarnings(values)).toEqual([]);
  });

  it('no whole number, or no default in the vocabulary: refused by name', async () => {
    const half = await withIds({ bos: 1.5 });
    expect(await codeOf(() => readTokenizer('x.gguf', half))).toBe('gguf-damaged');
    expect(await messageOf(() => readTokenizer('x.gguf', half))).toContain('bos_token_id is 1.5');
    const small = {
      ...(await withIds({ eos: 99 })),
      'tokenizer.ggml.tokens': ['a', 'b'],
      'tokenizer.ggml.scores': [0, 0],
      'tokenizer.ggml.token_type': [1, 1],
    };
    expect(await codeOf(() => readTokenizer('x.gguf', small))).toBe('gguf-damaged');
    expect(await messageOf(() => readTokenizer('x.gguf', small))).toContain('eos_token_id is 99');
  });
});
