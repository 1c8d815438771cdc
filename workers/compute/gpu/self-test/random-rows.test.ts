/** Random rows of a matrix, against the whole matrix. */
import { describe, expect, it } from 'vitest';
import { dequantize } from '../../../format/quantization/dequantize.ts';
import { findNonFinite } from '../../../format/quantization/finite.ts';
import { ggufBytes, repackTensor } from '../../../format/quantization/repack.ts';
import { layoutTensor, WEIGHT_TYPES, type WeightTypeName } from '../../../format/weight-layout.ts';
import { randomLastRows, randomMatrix } from './random-rows.ts';

const TYPES = Object.keys(WEIGHT_TYPES) as WeightTypeName[];
const COLS = 256;

describe('randomMatrix', () => {
  it.each(TYPES)('%s: the weights are finite and have the deviation of outputs like inputs', (type) => {
    const { source } = randomMatrix(layoutTensor('w', WEIGHT_TYPES[type], 64, COLS, 0), 1);
    expect(findNonFinite(type, source)).toBeUndefined();
    const weights = dequantize(type, source);
    const square = weights.reduce((sum, weight) => sum + weight * weight, 0) / weights.length;
    expect(Math.sqrt(square * COLS)).toBeGreaterThan(0.8);
    expect(Math.sqrt(square * COLS)).toBeLessThan(1.25);
    expect(new Set(weights).size).toBeGreaterThan(4);
  });
});

describe('randomLastRows', () => {
  it.each(TYPES)('%s: the pieces are those of the whole matrix', (type) => {
    const weightType = WEIGHT_TYPES[type];
    const [rows, offset] = [77, 512];
    const layout = layoutTensor('w', weightType, rows, COLS, offset);
    const { first, count, pieces, weights } = randomLastRows(layout, 2);
    expect([first, count, weights.length]).toEqual([44, 33, 33 * COLS]);

    // The whole matrix with these rows, other rows being zero.
    const known = randomMatrix(layoutTensor('w', weightType, count, COLS, 0), 2).source;
    const source = new Uint8Array(ggufBytes(weightType, rows, COLS));
    source.set(known, source.length - known.length);
    const record = new Uint8Array(offset + layout.bytes);
    repackTensor(source, layout, record);

    const written = new Uint8Array(record.length);
    for (const piece of pieces) {
      expect([piece.offset % 4, piece.bytes.length % 4]).toEqual([0, 0]);
      written.set(piece.bytes, offset + piece.offset);
    }
    expect(Buffer.compare(written, record)).toBe(0);
    expect(Buffer.compare(new Uint8Array(weights.buffer), new Uint8Array(dequantize(type, known).buffer))).toBe(0);
  });

  it('takes all rows of a small matrix', () => {
    const { first, count } = randomLastRows(layoutTensor('w', WEIGHT_TYPES.F32, 8, 100, 0), 1);
    expect([first, count]).toEqual([0, 8]);
  });
});
