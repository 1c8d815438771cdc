/** Header, config and plan, for well-formed files and hostile ones. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MixtabError } from '../../../src/contract/errors.ts';
import { writeHeader } from '../../synth/header-writer.ts';
import { SYNTH_PRESETS } from '../../synth/presets.ts';
import { createSplitSynth, createSynth, type SynthOptions } from '../../synth/synth.ts';
import { isPartOf, OUTPUT_KEY } from '../manifest.ts';
import { readConfig } from './config.ts';
import { type GgufHeader, type ReadableFile, readHeader } from './header.ts';
import { inspectHeader } from './inspect.ts';
import { planImport } from './plan.ts';
import { readTokenizer } from './tokenizer-data.ts';

const TINY: SynthOptions = SYNTH_PRESETS.tiny;

const fileOf = (bytes: Uint8Array<ArrayBuffer>, size = bytes.byteLength): ReadableFile => ({
  name: 'test.gguf',
  size,
  read: async (offset, length) => bytes.slice(offset, offset + length),
});

const synthFile = (options: SynthOptions): ReadableFile => {
  const synth = createSynth(options);
  return { name: 'test.gguf', size: synth.size, read: async (offset, length) => synth.read(offset, length) };
};

const headerOf = (options: SynthOptions): Promise<GgufHeader> => readHeader(synthFile(options));

/** The error's code, or "no error", or an error that is not a MixtabError. */
const codeOf = async (work: Promise<unknown> | (() => unknown)): Promise<string> => {
  try {
    await (typeof work === 'function' ? work() : work);
    return 'no error';
  } catch (error) {
    return error instanceof MixtabError ? error.code : `${error}`;
  }
};

describe('readHeader', () => {
  it('reads metadata and tensors, with offsets within the file', async () => {
    const { metadata, tensors, fileBytes } = await headerOf(TINY);
    expect(metadata['llama.expert_count']).toBe(8);
    expect(metadata['general.name']).toBe('synthetic Mixtral');
    expect((metadata['tokenizer.ggml.tokens'] as string[]).length).toBe(512);
    expect(tensors[0]).toMatchObject({ name: 'token_embd.weight', shape: [256, 512], ggmlType: 12 });
    expect(Math.max(...tensors.map(({ offset }) => offset))).toBeLessThan(fileBytes);
  });

  it('keeps U+FEFF at the beginning of a text, because it is part of a token', async () => {
    const bytes = writeHeader({ 'tokenizer.ggml.tokens': { strings: ['\ufeff', '\ufeffusing'] } }, []);
    const { metadata } = await readHeader(fileOf(bytes));
    expect(metadata['tokenizer.ggml.tokens']).toEqual(['\ufeff', '\ufeffusing']);
  });

  it('reports a truncated file, wherever it was cut', async () => {
    const synth = createSynth(TINY);
    const whole = synth.read(0, synth.size);
    const headerBytes = (await headerOf(TINY)).tensors[0].offset;
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(fc.integer({ min: 24, max: headerBytes }), fc.integer({ min: 24, max: synth.size - 1 })),
        async (length) => {
          expect(await codeOf(readHeader(fileOf(whole.slice(0, length))))).toBe('gguf-truncated');
        },
      ),
      { numRuns: 60 },
    );
  });

  it.each([
    [2, [16, 64], 576],
    [12, [128, 16], 1152],
    [39, [48, 32], 816],
  ])(
    'refuses rows of type %i and shape %j that end within a block, although the matrix is whole blocks',
    async (ggmlType, shape, bytes) => {
      const header = writeHeader({}, [{ name: 'w', shape, ggmlType, bytes }]);
      const file = new Uint8Array(header.length + bytes);
      file.set(header);
      expect(await codeOf(readHeader(fileOf(file)))).toBe('gguf-damaged');
    },
  );

  it('refuses files that are not GGUFs', async () => {
    expect(await codeOf(readHeader(fileOf(new TextEncoder().encode('<!doctype html><p>hello'.repeat(3)))))).toBe(
      'gguf-not-gguf',
    );
    expect(await codeOf(readHeader(fileOf(new Uint8Array(3))))).toBe('gguf-not-gguf');
  });

  it.each([
    ['a version from the future', 4, [9, 0, 0, 0]],
    ['a big-endian file', 4, [0, 0, 0, 3]],
    ['2^56 tensors', 8, [0, 0, 0, 0, 0, 0, 0, 1]],
    ['2^56 metadata keys', 16, [0, 0, 0, 0, 0, 0, 0, 1]],
    ['a key of 2^56 bytes', 24, [0, 0, 0, 0, 0, 0, 0, 1]],
  ])('refuses %s without trying to read it', async (_what, at, bytes) => {
    const synth = createSynth(TINY);
    const whole = synth.read(0, synth.size);
    whole.set(bytes, at);
    expect(await codeOf(readHeader(fileOf(whole)))).toBe('gguf-damaged');
  });

  it('throws only errors with a GGUF code, whatever bytes are changed', async () => {
    const synth = createSynth({ ...TINY, layers: 1 });
    const whole = synth.read(0, synth.size);
    const headerBytes = (await headerOf({ ...TINY, layers: 1 })).tensors[0].offset;
    const change = fc.record({
      at: fc.integer({ min: 4, max: headerBytes - 1 }),
      value: fc.integer({ min: 0, max: 255 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
        const bytes = whole.slice();
        for (const { at, value } of changes) bytes[at] = value;
        const attempt = async (): Promise<void> => {
          const header = await readHeader(fileOf(bytes));
          inspectHeader('test.gguf', header);
        };
        expect(await codeOf(attempt())).toMatch(/^(gguf-.*|no error)$/);
      }),
      { numRuns: 300 },
    );
  });
});

describe('readHeader of a split file', () => {
  const parts = createSplitSynth({ ...TINY, layers: 1 }, 3).map((file) => file.read(0, file.size));
  const joined = (all: Uint8Array<ArrayBuffer>[]): ReadableFile => {
    const bytes = new Uint8Array(all.reduce((sum, { byteLength }) => sum + byteLength, 0));
    let at = 0;
    for (const part of all) {
      bytes.set(part, at);
      at += part.byteLength;
    }
    return { ...fileOf(bytes), parts: all.map((part, n) => ({ ...fileOf(part), name: `part ${n}` })) };
  };

  it('gives offsets relative to the concatenated parts', async () => {
    const file = joined(parts);
    const whole = synthFile({ ...TINY, layers: 1 });
    const [split, single] = [await readHeader(file), await readHeader(whole)];
    expect(split.tensors.map(({ name }) => name)).toEqual(single.tensors.map(({ name }) => name));
    for (const [n, { offset }] of split.tensors.entries()) {
      expect(await file.read(offset, 64)).toEqual(await whole.read(single.tensors[n].offset, 64));
    }
  });

  it('throws only errors with a GGUF code, whatever bytes of any part are changed', async () => {
    const change = fc.record({ part: fc.nat(2), at: fc.integer({ min: 4, max: 700 }), value: fc.nat(255) });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (changes) => {
        const copies = parts.map((part) => part.slice());
        for (const { part, at, value } of changes) copies[part][at] = value;
        const attempt = async (): Promise<void> => {
          inspectHeader('test.gguf', await readHeader(joined(copies)));
        };
        expect(await codeOf(attempt())).toMatch(/^(gguf-.*|no error)$/);
      }),
      { numRuns: 200 },
    );
  });
});

describe('readConfig', () => {
  const changed = async (changes: Record<string, unknown>): Promise<Record<string, unknown>> => ({
    ...(await headerOf(TINY)).metadata,
    ...changes,
  });
  const codeWith = async (changes: Record<string, unknown>): Promise<string> => {
    const values = await changed(changes);
    return codeOf(() => readConfig('x.gguf', values));
  };

  it('reads the shape', async () => {
    expect(readConfig('x.gguf', (await headerOf(TINY)).metadata)).toMatchObject({
      layerCount: 2,
      embeddingLength: 256,
      feedForwardLength: 256,
      headCount: 4,
      kvHeadCount: 2,
      headDim: 64,
      expertCount: 8,
      expertsPerToken: 2,
      vocabularySize: 512,
      contextLength: 256,
      ropeDimensionCount: 64,
      ropeFreqBase: 1e6,
    });
  });

  it('uses the defaults of llama.cpp for keys that old files lack', async () => {
    const values = await changed({
      'llama.attention.head_count_kv': undefined,
      'llama.rope.freq_base': undefined,
      'llama.attention.key_length': undefined,
      'llama.attention.value_length': undefined,
      'llama.rope.dimension_count': undefined,
    });
    expect(readConfig('x.gguf', values)).toMatchObject({
      kvHeadCount: 4,
      ropeFreqBase: 10_000,
      headDim: 64,
      ropeDimensionCount: 64,
    });
  });

  it.each([
    [{ 'general.architecture': 'qwen2' }, 'gguf-unsupported-architecture'],
    [{ 'llama.expert_count': 0 }, 'gguf-unsupported-architecture'],
    [{ 'llama.rope.scaling.type': 'longrope' }, 'gguf-unsupported-feature'],
    [{ 'llama.rope.scaling.type': 'linear', 'llama.rope.scaling.factor': -2 }, 'gguf-unsupported-feature'],
    [
      {
        'llama.rope.scaling.type': 'yarn',
        'llama.rope.scaling.factor': 4,
        'llama.rope.scaling.original_context_length': -8,
      },
      'gguf-unsupported-feature',
    ],
    [{ 'llama.rope.scaling.yarn_log_multiplier': 0.5 }, 'gguf-unsupported-feature'],
    [{ 'llama.expert_weights_scale': 2.5 }, 'gguf-unsupported-feature'],
    [{ 'llama.expert_weights_scale': 1, 'llama.logit_scale': 0 }, 'no error'],
    [{ 'llama.attention.sliding_window': 4096 }, 'gguf-unsupported-feature'],
    [{ 'llama.expert_used_count': 9 }, 'gguf-damaged'],
    [{ 'llama.block_count': 1e9 }, 'gguf-damaged'],
    [{ 'llama.embedding_length': undefined }, 'gguf-damaged'],
    [{ 'llama.attention.head_count': [4, 4] }, 'gguf-damaged'],
    [{ 'llama.attention.head_count_kv': 3 }, 'gguf-damaged'],
    [{ 'llama.context_length': 'long' }, 'gguf-damaged'],
  ])('%j: %s', async (changes, code) => {
    expect(await codeWith(changes)).toBe(code);
  });

  it.each([
    [{}, undefined],
    [{ 'llama.rope.scaling.type': 'none', 'llama.rope.scaling.factor': 4 }, undefined],
    [{ 'llama.rope.scaling.type': 'linear', 'llama.rope.scaling.factor': 1 }, undefined],
    [{ 'llama.rope.scale_linear': 8 }, { type: 'linear', factor: 8, magnitude: 1 }],
    [
      { 'llama.rope.scaling.factor': 2, 'llama.rope.scale_linear': 8 },
      { type: 'linear', factor: 2, magnitude: 1 },
    ],
    [
      { 'llama.rope.scaling.type': 'yarn', 'llama.rope.scaling.factor': 4 },
      { type: 'yarn', factor: 4, originalContextLength: 256, magnitude: 1 + 0.1 * Math.log(4) },
    ],
    [
      {
        'llama.rope.scaling.type': 'yarn',
        'llama.rope.scaling.factor': 4,
        'llama.rope.scaling.original_context_length': 64,
        'llama.rope.scaling.attn_factor': 2,
      },
      { type: 'yarn', factor: 4, originalContextLength: 64, magnitude: 2 + 0.2 * Math.log(4) },
    ],
    [{ 'llama.rope.scaling.attn_factor': 2 }, { type: 'linear', factor: 1, magnitude: 2 }],
  ])('%j scales the rotations by %j', async (changes, expected) => {
    const { ropeScaling } = readConfig('x.gguf', await changed(changes));
    if (expected) expect(ropeScaling).toMatchObject(expected);
    else expect(ropeScaling).toBeUndefined();
  });

  it('refuses unsupported tokenizers and lists of the wrong length', async () => {
    const bert = await changed({ 'tokenizer.ggml.model': 'bert' });
    expect(await codeOf(() => readTokenizer('x.gguf', bert))).toBe('gguf-unsupported-feature');
    const unmerged = await changed({ 'tokenizer.ggml.model': 'gpt2' });
    expect(await codeOf(() => readTokenizer('x.gguf', unmerged))).toBe('gguf-damaged');
    const ending = await changed({ 'tokenizer.ggml.eot_token_id': 7, 'tokenizer.ggml.eom_token_id': 9 });
    expect(readTokenizer('x.gguf', ending).endIds).toEqual([7, 9]);
    const unknown = await changed({
      'tokenizer.ggml.model': 'gpt2',
      'tokenizer.ggml.merges': ['a b'],
      'tokenizer.ggml.pre': 'koala',
    });
    expect(() => readTokenizer('x.gguf', unknown)).toThrow(/koala/);
    const known = await changed({
      'tokenizer.ggml.model': 'gpt2',
      'tokenizer.ggml.merges': ['a b'],
      'tokenizer.ggml.pre': 'tekken',
    });
    expect(readTokenizer('x.gguf', known)).toMatchObject({
      model: 'gpt2',
      pre: 'tekken',
      merges: ['a b'],
      addSpacePrefix: false,
    });
    const short = await changed({ 'tokenizer.ggml.scores': [1, 2] });
    expect(await codeOf(() => readTokenizer('x.gguf', short))).toBe('gguf-damaged');
  });
});

describe('planImport', () => {
  const plan = async (options: SynthOptions) => {
    const header = await headerOf(options);
    return { header, plan: planImport('x.gguf', header, readConfig('x.gguf', header.metadata)) };
  };

  it.each(['merged', 'per-expert', 'fused'] as const)(
    '%s: covers every byte of every tensor exactly once',
    async (layout) => {
      const { header, plan: planned } = await plan({ ...TINY, layout });
      expect(planned.layout).toBe(layout);
      const ranges = planned.records.flatMap(({ tensors }) => tensors).sort((a, b) => a.offset - b.offset);
      for (const tensor of header.tensors) {
        let at = tensor.offset;
        for (const range of ranges.filter(({ source }) => source === tensor.name)) {
          expect(range.offset).toBe(at);
          at += range.bytes;
        }
        const next = Math.min(
          header.fileBytes,
          ...header.tensors.map(({ offset }) => offset).filter((offset) => offset > tensor.offset),
        );
        expect(next - at).toBeGreaterThanOrEqual(0);
        expect(next - at).toBeLessThan(32);
      }
      expect(planned.records).toHaveLength(1 + 2 * (1 + 8) + 1);
    },
  );

  it('plans the same records for all layouts', async () => {
    const shapes = async (layout: SynthOptions['layout']) =>
      (await plan({ ...TINY, layout })).plan.records.map(({ key, bytes, tensors }) => [
        key,
        bytes,
        tensors.map(({ layout }) => layout),
      ]);
    expect(await shapes('per-expert')).toEqual(await shapes('merged'));
    expect(await shapes('fused')).toEqual(await shapes('merged'));
  });

  it('cuts a matrix that is too large for a binding at rows whose outputs can be bound', async () => {
    const header = await headerOf(TINY);
    const config = readConfig('x.gguf', header.metadata);
    const whole = planImport('x.gguf', header, config);
    // The output is 512 x 256 in Q6_K, 210 bytes per row. 20,000 bytes hold 95 rows, so each part has 64.
    const { records } = planImport('x.gguf', header, config, 20_000);
    const parts = records.filter(({ key }) => isPartOf(key, OUTPUT_KEY));
    expect(parts.map(({ key }) => key)).toEqual(['output', ...Array.from({ length: 7 }, (_, n) => `output.${n + 1}`)]);
    expect(parts[0].tensors.map(({ layout }) => layout.name)).toEqual(['output_norm', 'output']);
    const matrices = parts.map(({ tensors }) => tensors.at(-1)!);
    expect(matrices.map(({ layout }) => layout.rows)).toEqual(new Array(8).fill(64));
    expect(Math.max(...matrices.map(({ layout }) => layout.bytes))).toBeLessThanOrEqual(20_000);
    const [start] = whole.records.at(-1)!.tensors.slice(-1);
    expect(matrices.map(({ offset }) => offset - start.offset)).toEqual(matrices.map((_, n) => n * 64 * 210));
    expect(planImport('x.gguf', header, config, 20_000).bytesPerToken).toBe(whole.bytesPerToken);
  });

  it('fits 8x22B with a vocabulary of 131,072 in F16 into bindings of the default size', async () => {
    const options: SynthOptions = {
      ...SYNTH_PRESETS['8x22b'],
      vocabularySize: 131_072,
      types: { ...SYNTH_PRESETS['8x22b'].types, embedding: 'F16', output: 'F16' },
    };
    const { plan: planned } = await plan(options);
    const largest = Math.max(...planned.records.flatMap(({ tensors }) => tensors.map(({ layout }) => layout.bytes)));
    expect(largest).toBeLessThanOrEqual(128 * 2 ** 20);
    expect(planned.parameterCount / 1e9).toBeCloseTo(141.8, 1);
    expect(planned.activeParameterCount / 1e9).toBeCloseTo(40.4, 1);
  });

  it('counts all parameters and those that a token uses', async () => {
    const { plan: planned } = await plan(TINY);
    const expert = 3 * 256 * 256;
    const dense = 2 * (512 * 256) + 256 + 2 * (2 * 256 + 256 * 256 * 2 + 2 * 128 * 256 + 8 * 256);
    expect(planned.parameterCount).toBe(dense + 2 * 8 * expert);
    expect(planned.activeParameterCount).toBe(dense + 2 * 2 * expert);
    expect(Object.values(planned.typeShares).reduce((a, b) => a + b)).toBeCloseTo(1, 12);
  });

  it('uses the embedding if there is no output matrix', async () => {
    const header = await headerOf(TINY);
    const tied = { ...header, tensors: header.tensors.filter(({ name }) => name !== 'output.weight') };
    const { records } = planImport('x.gguf', tied, readConfig('x.gguf', header.metadata));
    expect(records.at(-1)?.tensors.map(({ source }) => source)).toEqual(['output_norm.weight', 'token_embd.weight']);
  });

  it.each([
    [
      'a missing tensor',
      (h: GgufHeader) => h.tensors.filter(({ name }) => name !== 'blk.1.attn_k.weight'),
      'gguf-missing-tensor',
      /blk\.1\.attn_k\.weight/,
    ],
    [
      'an unknown tensor',
      (h: GgufHeader) => [...h.tensors, { ...h.tensors[0], name: 'blk.0.attn_q.bias' }],
      'gguf-unsupported-feature',
      /attn_q\.bias/,
    ],
    [
      'an unsupported type',
      (h: GgufHeader) => h.tensors.map((t) => (t.name === 'blk.0.ffn_up_exps.weight' ? { ...t, ggmlType: 34 } : t)),
      'gguf-unsupported-type',
      /ffn_up_exps\.weight has the type TQ1_0/,
    ],
    [
      'a wrong shape',
      (h: GgufHeader) => h.tensors.map((t) => (t.name === 'output.weight' ? { ...t, shape: [256, 511] } : t)),
      'gguf-damaged',
      /output\.weight/,
    ],
  ])('names %s', async (_what, change, code, message) => {
    const header = await headerOf(TINY);
    const config = readConfig('x.gguf', header.metadata);
    const work = () => planImport('x.gguf', { ...header, tensors: change(header) }, config);
    expect(await codeOf(work)).toBe(code);
    expect(work).toThrow(message);
  });
});
