/** NaN and infinite scales of every type, against the dequantizers, which are checked against ggml. */
import { describe, expect, it } from 'vitest';
import { writeBlock } from '../../synth/random-blocks.ts';
import { WEIGHT_TYPES, type WeightTypeName } from '../weight-layout.ts';
import { dequantize } from './dequantize.ts';
import { findNonFinite } from './finite.ts';

const TYPES = Object.keys(WEIGHT_TYPES) as WeightTypeName[];
const BLOCKS = 5;

/** Blocks of well-behaved weights, as synthetic models have them. */
function goodBlocks(type: WeightTypeName): Uint8Array<ArrayBuffer> {
  const { blockBytes } = WEIGHT_TYPES[type];
  const bytes = new Uint8Array(BLOCKS * blockBytes);
  for (let n = 0; n < BLOCKS; n++) writeBlock({ type, seed: 7, deviation: 0.1 }, n, bytes, n * blockBytes);
  return bytes;
}

describe.each(TYPES)('findNonFinite: %s', (type) => {
  const { blockBytes, blockWeights } = WEIGHT_TYPES[type];

  it('finds nothing in finite weights', () => {
    expect(findNonFinite(type, goodBlocks(type))).toBeUndefined();
  });

  it('finds every block that dequantizes to NaN or infinity, whichever of its bits are set', () => {
    let damaged = 0;
    for (let at = 0; at < blockBytes; at++) {
      for (const value of [0x7c, 0x7e, 0x7f, 0xfe, 0xff]) {
        const bytes = goodBlocks(type);
        bytes.fill(value, 2 * blockBytes + at, 2 * blockBytes + Math.min(at + 4, blockBytes));
        const weight = dequantize(type, bytes).findIndex((w) => !Number.isFinite(w));
        if (weight < 0) {
          // A scale beyond MXFP4's range may meet small quants only. It is refused nevertheless.
          if (type !== 'MXFP4') expect(findNonFinite(type, bytes)).toBeUndefined();
          continue;
        }
        damaged++;
        const found = findNonFinite(type, bytes)!;
        expect(Math.floor(found / blockWeights)).toBe(Math.floor(weight / blockWeights));
      }
    }
    expect(damaged).toBeGreaterThan(0);
  });

  it('reads bytes that are not aligned', () => {
    const bytes = goodBlocks(type);
    const shifted = new Uint8Array(bytes.length + 1);
    shifted.set(bytes, 1);
    expect(findNonFinite(type, shifted.subarray(1))).toBeUndefined();
  });
});
