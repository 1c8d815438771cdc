/**
 * Synthetic Mixtral GGUFs of any size and type, made on demand: `read` computes any byte range and nothing is stored.
 *
 * The weights are random but well-behaved. Activations keep their scale through the layers, and the router's and the
 * output's logits have clear winners, so greedy decoding does not depend on rounding.
 */
import type { Bytes } from '../../src/contract/ids.ts';
import { dequantize } from '../format/quantization/dequantize.ts';
import { ggufBytes } from '../format/quantization/repack.ts';
import { WEIGHT_TYPES } from '../format/weight-layout.ts';
import { alignUp, type MetadataValue, writeHeader } from './header-writer.ts';
import { synthMetadata } from './metadata.ts';
import type { SynthOptions } from './options.ts';
import { writeBlock, zeroBlock } from './random-blocks.ts';
import { planTensors, type SynthMatrix, type SynthTensor } from './tensors.ts';

export { type SynthOptions, uniformTypes } from './options.ts';

/** A file whose bytes are computed when they are read. */
export interface SynthFile {
  size: Bytes;
  /** Bytes `offset .. offset + length - 1` of the file. */
  read(offset: Bytes, length: Bytes): Uint8Array<ArrayBuffer>;
}

/**
 * A whole model as one file.
 * @throws RangeError if the options contradict each other, e.g. rows that are not whole blocks
 */
export function createSynth(options: SynthOptions): SynthFile {
  return fileOf(synthMetadata(options), planTensors(options), options.f32Twin ?? false);
}

/**
 * A model as a split GGUF of `count` files of about equal size, as llama-gguf-split writes them: all metadata is in the
 * first file and the tensors keep their order.
 * @param emptyFirst true for a first file without tensors, as `--no-tensor-first-split` writes it
 */
export function createSplitSynth(options: SynthOptions, count: number, emptyFirst = false): SynthFile[] {
  const tensors = planTensors(options);
  const total = tensors.reduce((sum, { entry }) => sum + entry.bytes, 0);
  const groups: SynthTensor[][] = Array.from({ length: count }, () => []);
  const filesWithTensors = emptyFirst ? count - 1 : count;
  let bytesBefore = 0;
  for (const tensor of tensors) {
    const file = Math.min(filesWithTensors - 1, Math.floor((bytesBefore * filesWithTensors) / total));
    groups[file + count - filesWithTensors].push(tensor);
    bytesBefore += tensor.entry.bytes;
  }
  return groups.map((group, n) =>
    fileOf(
      {
        ...(n === 0 && synthMetadata(options)),
        'split.no': { u16: n },
        'split.count': { u16: count },
        'split.tensors.count': { i32: tensors.length },
      },
      group,
      options.f32Twin ?? false,
    ),
  );
}

/** @param twin whether weights are written dequantized, as F32 */
function fileOf(metadata: Record<string, MetadataValue>, tensors: readonly SynthTensor[], twin: boolean): SynthFile {
  const header = writeHeader(
    metadata,
    tensors.map(({ entry }) => entry),
  );
  const positioned: PositionedTensor[] = [];
  let size = header.byteLength;
  for (const tensor of tensors) {
    positioned.push({ start: size, tensor });
    size += alignUp(tensor.entry.bytes);
  }
  return {
    size,
    read(offset, length) {
      const out = new Uint8Array(length);
      const end = offset + length;
      if (offset < header.byteLength) out.set(header.subarray(offset, Math.min(end, header.byteLength)));
      for (let i = firstEndingAfter(positioned, offset); i < positioned.length && positioned[i].start < end; i++) {
        const { start, tensor } = positioned[i];
        const from = Math.max(offset, start);
        const to = Math.min(end, start + tensor.entry.bytes);
        if (to > from) writeRange(tensor, twin, from - start, out.subarray(from - offset, to - offset));
      }
      return out;
    },
  };
}

interface PositionedTensor {
  /** Offset of its first byte in the file. */
  start: Bytes;
  tensor: SynthTensor;
}

/**
 * Index of the first tensor that ends after `offset`. A binary search: both tensors and reads number in the thousands.
 */
function firstEndingAfter(positioned: readonly PositionedTensor[], offset: Bytes): number {
  let low = 0;
  let high = positioned.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (positioned[middle].start + positioned[middle].tensor.entry.bytes <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Fills `out` with the tensor's bytes from `offset` on. */
function writeRange({ matrices }: SynthTensor, twin: boolean, offset: Bytes, out: Uint8Array): void {
  const end = offset + out.byteLength;
  let start = 0; // of the matrix in the tensor
  for (const matrix of matrices) {
    const { recipe, rows, cols } = matrix;
    const next = start + (twin ? rows * cols * 4 : ggufBytes(WEIGHT_TYPES[recipe.type], rows, cols));
    const [from, to] = [Math.max(offset, start), Math.min(end, next)];
    if (to > from) writeMatrix(matrix, twin, from - start, out.subarray(from - offset, to - offset));
    start = next;
  }
}

/**
 * Fills `out` with the matrix's bytes from `offset` on, block by block. The plain types (F32, F16, BF16) are made in
 * runs of 32 weights, and the matrix may end within a run.
 */
function writeMatrix(matrix: SynthMatrix, twin: boolean, offset: Bytes, out: Uint8Array): void {
  const { recipe, cols, zeroRows, values } = matrix;
  if (values) {
    out.set(new Uint8Array(values.buffer, values.byteOffset + offset, out.byteLength));
    return;
  }
  const type = WEIGHT_TYPES[recipe.type];
  const blockBytes = twin ? type.blockWeights * 4 : type.blockBytes;
  const first = Math.floor(offset / blockBytes);
  const last = Math.ceil((offset + out.byteLength) / blockBytes);
  const zeroBlocks = (zeroRows * cols) / type.blockWeights;
  const blocks = new Uint8Array((last - first) * type.blockBytes);
  for (let n = first, at = 0; n < last; n++, at += type.blockBytes) {
    if (n < zeroBlocks) zeroBlock(recipe.type, blocks, at);
    else writeBlock(recipe, n, blocks, at);
  }
  const bytes = twin ? new Uint8Array(dequantize(recipe.type, blocks).buffer) : blocks;
  const start = offset - first * blockBytes;
  out.set(bytes.subarray(start, start + out.byteLength));
}
