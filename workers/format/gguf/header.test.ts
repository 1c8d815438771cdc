/** Headers of well-formed files and of hostile ones. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { writeHeader } from '../../synth/header-writer.ts';
import { createSplitSynth, createSynth } from '../../synth/synth.ts';
import { type ReadableFile, readHeader } from './header.ts';
import { inspectHeader } from './inspect.ts';
import { codeOf, fileOf, headerOf, synthFile, TINY } from './testing.ts';

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
