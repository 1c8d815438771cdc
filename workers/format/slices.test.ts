import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hashName, writeBlock } from '../synth/random-blocks.ts';
import { dequantize } from './quantization/dequantize.ts';
import { ggufBytes, isPlainType, repackTensor } from './quantization/repack.ts';
import { onePart, type RecordParts } from './record-parts.ts';
import { copyToSlices, type RecordSlice, type RowRange, segmentsOf, sliceRecord } from './slices.ts';
import {
  blocksPerRow,
  layoutTensor,
  PLANE_ALIGNMENT,
  TENSOR_ALIGNMENT,
  type TensorLayout,
  WEIGHT_TYPES,
  type WeightTypeName,
} from './weight-layout.ts';

const TYPES = Object.keys(WEIGHT_TYPES) as WeightTypeName[];

/** A record of three matrices like an expert's, with the bytes of each in the GGUF. */
function randomRecord(type: WeightTypeName, shapes: [rows: number, cols: number][]) {
  const weightType = WEIGHT_TYPES[type];
  const tensors: TensorLayout[] = [];
  let bytes = 0;
  for (const [index, [rows, cols]] of shapes.entries()) {
    tensors.push(layoutTensor(`matrix ${index}`, weightType, rows, cols, bytes));
    bytes += tensors[index].bytes;
  }
  const record = new Uint8Array(bytes);
  const gguf = tensors.map((tensor) => {
    const blocks = new Uint8Array(tensor.rows * blocksPerRow(weightType, tensor.cols) * weightType.blockBytes);
    const recipe = { type, seed: hashName(tensor.name, 1), deviation: 0.02 };
    for (let n = 0; n * weightType.blockBytes < blocks.byteLength; n++) {
      writeBlock(recipe, n, blocks, n * weightType.blockBytes);
    }
    const source = blocks.subarray(0, ggufBytes(weightType, tensor.rows, tensor.cols));
    repackTensor(source, tensor, record);
    return source;
  });
  return { tensors, record, gguf };
}

/** The weights of a matrix in planes, [rows, cols], through ggml's blocks. */
function weightsIn(bytes: Uint8Array, { type, rows, cols, offset, planeOffsets }: TensorLayout): Float32Array {
  const { planes, blockBytes, blockWeights } = WEIGHT_TYPES[type];
  const perRow = Math.ceil(cols / blockWeights);
  const blocks = new Uint8Array(rows * perRow * blockBytes);
  for (let b = 0; b < rows * perRow; b++) {
    for (const [plane, { offset: field, bytes: length }] of planes.entries()) {
      const at = offset + planeOffsets[plane] + b * length;
      blocks.set(bytes.subarray(at, at + length), b * blockBytes + field);
    }
  }
  const padded = dequantize(type, blocks);
  const width = perRow * blockWeights;
  return Float32Array.from({ length: rows * cols }, (_, i) => padded[Math.floor(i / cols) * width + (i % cols)]);
}

const buffersOf = (slices: readonly RecordSlice[]) => slices.map(({ bytes }) => new Uint8Array(bytes).fill(0xa5));

const inParts = (record: Uint8Array<ArrayBuffer>, size: number): RecordParts => ({
  byteLength: record.byteLength,
  parts: Array.from({ length: Math.ceil(record.byteLength / size) }, (_, n) =>
    record.subarray(n * size, (n + 1) * size),
  ),
});

/** Row ranges of three matrices with 13, 9 and 6 rows. Thread 1 has none; 2 and 3 share rows of the second matrix. */
const THREADS: RowRange[][] = [
  [
    { from: 0, to: 4 },
    { from: 0, to: 4 },
    { from: 0, to: 4 },
  ],
  [
    { from: 4, to: 4 },
    { from: 0, to: 0 },
    { from: 6, to: 6 },
  ],
  [
    { from: 4, to: 12 },
    { from: 4, to: 9 },
    { from: 4, to: 6 },
  ],
  [
    { from: 12, to: 13 },
    { from: 4, to: 8 },
    { from: 0, to: 0 },
  ],
];

describe.each(TYPES)('slices of %s', (type) => {
  const plain = isPlainType(WEIGHT_TYPES[type]);
  const cols = plain ? 45 : 3 * WEIGHT_TYPES[type].blockWeights;
  const { tensors, record, gguf } = randomRecord(type, [
    [13, cols],
    [9, cols],
    [6, plain ? 64 : 2 * cols],
  ]);

  it('have exactly the weights of their rows, in aligned planes, and zeros between them', () => {
    const slices = sliceRecord(tensors, THREADS);
    const buffers = buffersOf(slices);
    copyToSlices(inParts(record, 1000), slices, buffers);
    expect(slices[1]).toMatchObject({ bytes: 0, ranges: [] });
    for (const [thread, slice] of slices.entries()) {
      const padding = Uint8Array.from(buffers[thread]);
      for (const [index, layout] of slice.tensors.entries()) {
        const { from, to } = THREADS[thread][index];
        expect(layout).toMatchObject({ name: tensors[index].name, type, rows: to - from, cols: tensors[index].cols });
        expect(layout.offset % TENSOR_ALIGNMENT).toBe(0);
        expect(layout.planeOffsets.every((offset) => offset % PLANE_ALIGNMENT === 0)).toBe(true);
        const all = dequantize(type, gguf[index]);
        expect(weightsIn(buffers[thread], layout)).toEqual(all.slice(from * layout.cols, to * layout.cols));
      }
      for (const { to, length } of slice.ranges) padding.fill(0, to, to + length);
      expect(padding.every((byte) => byte === 0)).toBe(true);
    }
  });

  it('of one thread with all rows are the record', () => {
    const whole = tensors.map(({ rows }) => ({ from: 0, to: rows }));
    const [slice] = sliceRecord(tensors, [whole]);
    expect(slice).toEqual({
      bytes: record.byteLength,
      tensors,
      ranges: [{ from: 0, length: record.byteLength, to: 0 }],
    });
  });
});

describe('sliceRecord', () => {
  const tensors = [layoutTensor('gate', WEIGHT_TYPES.Q4_K, 8, 512, 0)];

  it.each([
    [-4, 4],
    [0, 9],
    [4, 0],
    [0, 1.5],
    [Number.NaN, 4],
  ])('rejects the rows %d to %d of 8', (from, to) => {
    expect(() => sliceRecord(tensors, [[{ from, to }]])).toThrow(RangeError);
  });

  it('rejects ranges for another number of tensors', () => {
    expect(() => sliceRecord(tensors, [[]])).toThrow(RangeError);
  });
});

describe('segmentsOf', () => {
  it('covers the record once, in order, and gives every slice its bytes', () => {
    const step = fc.record({ gap: fc.nat(5), length: fc.integer({ min: 1, max: 6 }), pad: fc.nat(4) });
    fc.assert(
      fc.property(fc.array(fc.array(step, { maxLength: 5 }), { maxLength: 4 }), (threads) => {
        const slices = threads.map((steps): RecordSlice => {
          let [from, to] = [0, 0];
          const ranges = steps.map(({ gap, length, pad }) => {
            const range = { from: from + gap, length, to: to + pad };
            [from, to] = [range.from + length, range.to + length];
            return range;
          });
          return { bytes: to, tensors: [], ranges };
        });
        const record = Uint8Array.from({ length: 60 }, (_, i) => i + 1);
        const segments = segmentsOf(slices, 60);
        let end = 0;
        for (const { from, length } of segments) {
          expect(from).toBe(end);
          expect(length).toBeGreaterThan(0);
          end += length;
        }
        expect(end).toBe(60);
        const buffers = buffersOf(slices);
        copyToSlices(onePart(record), slices, buffers);
        for (const [index, { bytes, ranges }] of slices.entries()) {
          const expected = new Uint8Array(bytes);
          for (const { from, length, to } of ranges) expected.set(record.subarray(from, from + length), to);
          expect(buffers[index]).toEqual(expected);
        }
      }),
    );
  });

  it.each([
    ['beyond the end of the record', { bytes: 100, ranges: [{ from: 90, length: 20, to: 0 }] }],
    ['beyond the end of the slice', { bytes: 10, ranges: [{ from: 0, length: 20, to: 0 }] }],
    ['in a slice that is larger than the record', { bytes: 101, ranges: [{ from: 0, length: 4, to: 0 }] }],
    ['in a slice of no size', { bytes: Number.NaN, ranges: [] }],
    ['before the start', { bytes: 100, ranges: [{ from: -4, length: 8, to: 0 }] }],
    ['of no bytes', { bytes: 100, ranges: [{ from: 0, length: 0, to: 0 }] }],
    ['of any number of bytes', { bytes: 100, ranges: [{ from: 0, length: Number.POSITIVE_INFINITY, to: 0 }] }],
    [
      'that overlap',
      {
        bytes: 100,
        ranges: [
          { from: 0, length: 8, to: 0 },
          { from: 4, length: 8, to: 8 },
        ],
      },
    ],
  ])('rejects ranges %s', (_, slice) => {
    expect(() => segmentsOf([{ ...slice, tensors: [] }], 100)).toThrow(RangeError);
  });
});
