import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { layoutTensor, WEIGHT_TYPES, type WeightTypeName } from '../weight-layout.ts';
import { dequantize } from './dequantize.ts';
import { halfToNumber } from './dequantize-parts.ts';
import goldens from './golden/blocks.json' with { type: 'json' };
import randomGoldens from './golden/random-blocks.json' with { type: 'json' };
import { randomBytes, zeroUnlessFinite } from './golden/random-blocks.mjs';
import { ggufBytes, repackTensor } from './repack.ts';

const bytesOf = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, 'base64'));

describe('dequantize', () => {
  it.each(goldens)("$type: equals ggml's own library to the bit", ({ type, blocks, weights }) => {
    const expected = new Uint32Array(bytesOf(weights).buffer);
    const actual = new Uint32Array(dequantize(type as WeightTypeName, bytesOf(blocks)).buffer);
    expect(actual).toEqual(expected);
  });

  it.each(randomGoldens)(
    "$type: equals ggml's own library for blocks of random bytes",
    async ({ type, weights, sha256 }) => {
      const { blockBytes, blockWeights } = WEIGHT_TYPES[type as WeightTypeName];
      const actual = dequantize(type as WeightTypeName, randomBytes((weights / blockWeights) * blockBytes));
      expect(actual).toHaveLength(weights);
      zeroUnlessFinite(actual);
      expect(createHash('sha256').update(new Uint8Array(actual.buffer)).digest('hex')).toBe(sha256);
    },
  );

  it('has goldens for every type but F32', () => {
    const all = Object.keys(WEIGHT_TYPES).sort();
    expect(['F32', ...goldens.map(({ type }) => type)].sort()).toEqual(all);
    expect(['F32', ...randomGoldens.map(({ type }) => type)].sort()).toEqual(all);
  });

  it('reads f16 as IEEE 754 defines it', () => {
    expect([0x0001, 0x03ff, 0x0400, 0x3c00, 0xc000, 0x7bff].map(halfToNumber)).toEqual([
      2 ** -24,
      1023 * 2 ** -24,
      2 ** -14,
      1,
      -2,
      65504,
    ]);
    expect(halfToNumber(0x7c00)).toBe(Number.POSITIVE_INFINITY);
    expect(halfToNumber(0xfc01)).toBeNaN();
  });
});

describe('repackTensor', () => {
  it.each(Object.values(WEIGHT_TYPES))('$name: puts every byte of every block into its plane', (type) => {
    const [rows, cols] = [3, type.blockWeights * 2];
    const source = Uint8Array.from({ length: ggufBytes(type, rows, cols) }, (_, i) => (i * 151 + (i >> 8)) & 255);
    const offset = 512;
    const layout = layoutTensor('w', type, rows, cols, offset);
    const record = new Uint8Array(offset + layout.bytes);
    repackTensor(source, layout, record);
    for (let block = 0; block < source.length / type.blockBytes; block++) {
      for (const [plane, { offset: field, bytes }] of type.planes.entries()) {
        const at = offset + layout.planeOffsets[plane] + block * bytes;
        const from = block * type.blockBytes + field;
        expect(record.slice(at, at + bytes)).toEqual(source.slice(from, from + bytes));
      }
    }
    expect(record.subarray(0, offset).every((byte) => byte === 0)).toBe(true);
  });

  it.each(Object.values(WEIGHT_TYPES))('$name: works on sources at unaligned offsets of larger buffers', (type) => {
    const [rows, cols] = [2, type.blockWeights];
    const source = Uint8Array.from({ length: ggufBytes(type, rows, cols) }, (_, i) => i & 255);
    const layout = layoutTensor('w', type, rows, cols, 0);
    const even = new Uint8Array(layout.bytes);
    repackTensor(source, layout, even);
    for (const shift of [1, 2, 3]) {
      const odd = new Uint8Array(source.length + shift).subarray(shift);
      odd.set(source);
      const uneven = new Uint8Array(layout.bytes);
      repackTensor(odd, layout, uneven);
      expect(uneven).toEqual(even);
    }
  });

  it('pads rows of plain types to whole blocks with zeros', () => {
    const layout = layoutTensor('w', WEIGHT_TYPES.F16, 2, 5, 0);
    const record = new Uint8Array(layout.bytes);
    repackTensor(new Uint8Array(20).fill(7), layout, record);
    expect([...record.subarray(0, 12)]).toEqual([...new Array(10).fill(7), 0, 0]);
    expect([...record.subarray(64, 76)]).toEqual([...new Array(10).fill(7), 0, 0]);
  });

  it('refuses a source of the wrong length', () => {
    const layout = layoutTensor('w', WEIGHT_TYPES.F32, 2, 4, 0);
    expect(() => repackTensor(new Uint8Array(31), layout, new Uint8Array(layout.bytes))).toThrow(RangeError);
  });
});
