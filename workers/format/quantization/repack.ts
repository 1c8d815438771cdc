/** Moves the fields of ggml's blocks into planes (docs/weight-layout.md). Bytes are moved, never changed. */
import { blocksPerRow, type TensorLayout, WEIGHT_TYPES, type WeightType } from '../weight-layout.ts';

/** Bytes of a `[rows, cols]` matrix in the GGUF. */
export function ggufBytes(type: WeightType, rows: number, cols: number): number {
  if (isPlainType(type)) return rows * cols * (type.blockBytes / type.blockWeights);
  return (rows * cols * type.blockBytes) / type.blockWeights;
}

/** True for F32, F16 and BF16. They have no blocks in a GGUF, so their rows may have any length. */
export const isPlainType = (type: WeightType): boolean => type.planes[0].name === 'values';

/**
 * Repacks one matrix into its record.
 * @param source the matrix's bytes in the GGUF, `ggufBytes` of them
 * @param layout where the matrix goes
 * @param target the record's bytes; the padding must be zero already
 * @throws RangeError if `source` has another length
 */
export function repackTensor(source: Uint8Array, layout: TensorLayout, target: Uint8Array): void {
  const type = WEIGHT_TYPES[layout.type];
  const expected = ggufBytes(type, layout.rows, layout.cols);
  if (source.byteLength !== expected) {
    throw new RangeError(`${layout.name} has ${source.byteLength} bytes instead of ${expected}`);
  }
  if (isPlainType(type)) repackPlain(source, layout, type, target);
  else repackBlocks(source, layout, type, target);
}

function repackPlain(source: Uint8Array, layout: TensorLayout, type: WeightType, target: Uint8Array): void {
  const rowBytes = source.byteLength / layout.rows;
  const paddedBytes = blocksPerRow(type, layout.cols) * type.blockBytes;
  for (let row = 0; row < layout.rows; row++) {
    target.set(source.subarray(row * rowBytes, (row + 1) * rowBytes), layout.offset + row * paddedBytes);
  }
}

function repackBlocks(source: Uint8Array, layout: TensorLayout, type: WeightType, target: Uint8Array): void {
  const blocks = source.byteLength / type.blockBytes;
  for (const [plane, { offset, bytes }] of type.planes.entries()) {
    copyField(source, offset, type.blockBytes, target, layout.offset + layout.planeOffsets[plane], bytes, blocks);
  }
}

/**
 * A strided copy of one field: `bytes` bytes at `from` of every block of `stride` bytes go to `to`, one after another.
 * It uses the widest words that all offsets are aligned to.
 */
function copyField(
  source: Uint8Array,
  from: number,
  stride: number,
  target: Uint8Array,
  to: number,
  bytes: number,
  blocks: number,
): void {
  const start = source.byteOffset + from;
  const end = target.byteOffset + to;
  const Words = [Uint32Array, Uint16Array, Uint8Array].find(({ BYTES_PER_ELEMENT: width }) =>
    [start, stride, end, bytes].every((n) => n % width === 0),
  ) as typeof Uint8Array;
  const width = Words.BYTES_PER_ELEMENT;
  const input = new Words(source.buffer, start, ((blocks - 1) * stride + bytes) / width);
  copyWords(input, stride / width, new Words(target.buffer, end, (blocks * bytes) / width), bytes / width, blocks);
}

function copyWords(input: Uint8Array, skip: number, output: Uint8Array, words: number, blocks: number): void {
  let write = 0;
  for (let b = 0, read = 0; b < blocks; b++, read += skip) {
    for (let i = 0; i < words; i++) output[write++] = input[read + i];
  }
}
