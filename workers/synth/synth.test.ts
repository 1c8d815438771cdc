import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readHeader } from '../format/gguf/header.ts';
import { dequantize } from '../format/quantization/dequantize.ts';
import { WEIGHT_TYPES } from '../format/weight-layout.ts';
import { SYNTH_PRESETS } from './presets.ts';
import { halfBits, writeBlock } from './random-blocks.ts';
import { createSynth, type SynthFile, type SynthOptions, uniformTypes } from './synth.ts';

const TINY: SynthOptions = SYNTH_PRESETS.tiny;
const open = (file: SynthFile) =>
  readHeader({ name: 'x', size: file.size, read: async (at, length) => file.read(at, length) });

describe('createSynth', () => {
  it('gives the same bytes for any ranges in which they are read', () => {
    const file = createSynth({ ...TINY, layout: 'per-expert' });
    const whole = file.read(0, file.size);
    fc.assert(
      fc.property(fc.nat(file.size - 1), fc.nat(5000), (offset, length) => {
        const end = Math.min(file.size, offset + length);
        expect(file.read(offset, end - offset)).toEqual(whole.slice(offset, end));
      }),
      { numRuns: 200 },
    );
  });

  it.each(['Q4_K', 'F16', 'Q8_0'] as const)('%s: the F32 twin holds the same weights', async (type) => {
    const options: SynthOptions = { ...TINY, types: uniformTypes(type) };
    const [file, twin] = [createSynth(options), createSynth({ ...options, f32Twin: true })];
    const [ours, theirs] = [await open(file), await open(twin)];
    for (const name of [
      'blk.1.ffn_down_exps.weight',
      'output.weight',
      'blk.0.attn_norm.weight',
      'blk.0.ffn_gate_inp.weight',
    ]) {
      const [a, b] = [ours, theirs].map(({ tensors }) => tensors.find((tensor) => tensor.name === name)!);
      expect(a.shape).toEqual(b.shape);
      const weights = a.shape.reduce((product, n) => product * n, 1);
      const bits = { Q4_K: 4.5, F16: 16, Q8_0: 8.5 }[type];
      const actual =
        a.ggmlType === 0
          ? dequantize('F32', file.read(a.offset, weights * 4))
          : dequantize(type, file.read(a.offset, (weights * bits) / 8));
      // toEqual takes seconds for so many numbers.
      const expected = dequantize('F32', twin.read(b.offset, weights * 4));
      expect(actual.length).toBe(expected.length);
      expect(actual.findIndex((weight, i) => !Object.is(weight, expected[i]))).toBe(-1);
    }
  });

  it('scales the matrices that add to the residual, and no others', async () => {
    const options: SynthOptions = { ...TINY, types: uniformTypes('F32') };
    const [full, quarter] = [createSynth(options), createSynth({ ...options, residualScale: 0.25 })];
    for (const { name, shape, offset } of (await open(full)).tensors) {
      const count = Math.min(
        1000,
        shape.reduce((product, n) => product * n, 1),
      );
      const [a, b] = [full, quarter].map((file) => dequantize('F32', file.read(offset, count * 4)));
      const scale = /attn_output|ffn_down/.test(name) ? 0.25 : 1;
      expect([...b], name).toEqual([...a.map((weight) => weight * scale)]);
    }
  });

  it('makes 26 GB for Mixtral 8x7B and can read any part of it', async () => {
    const file = createSynth(SYNTH_PRESETS['8x7b']);
    expect(Math.round(file.size / 1e9)).toBe(26);
    expect((await open(file)).tensors).toHaveLength(323);
    expect(file.read(file.size - 1000, 1000).some((byte) => byte !== 0)).toBe(true);
  });

  it.each(Object.values(WEIGHT_TYPES))(
    '$name: weights have mean 0 and the requested standard deviation',
    ({ name, blockBytes }) => {
      const block = new Uint8Array(blockBytes);
      const values: number[] = [];
      for (let n = 0; values.length < 60_000; n++) {
        writeBlock({ type: name, seed: 5, deviation: 0.02 }, n, block, 0);
        values.push(...dequantize(name, block));
      }
      const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
      const deviation = Math.sqrt(values.reduce((sum, v) => sum + v * v, 0) / values.length);
      expect(deviation / 0.02).toBeGreaterThan(0.95);
      expect(deviation / 0.02).toBeLessThan(1.05);
      expect(Math.abs(mean) / 0.02).toBeLessThan(0.15); // Q4_0's quants run from -8 to 7
    },
  );

  it('refuses rows that are not whole blocks', () => {
    expect(() => createSynth({ ...TINY, embeddingLength: 200 })).toThrow(/whole Q4_K blocks/);
  });
});

describe('halfBits', () => {
  it('is the inverse of reading, and rounds to nearest', () => {
    expect([0, 1, -2, 65504, 2 ** -24, 2 ** -14, 1.99999].map(halfBits)).toEqual([
      0, 0x3c00, 0xc000, 0x7bff, 1, 0x400, 0x4000,
    ]);
  });
});
