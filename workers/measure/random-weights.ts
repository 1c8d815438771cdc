/**
 * Fills records with valid random weights fast. Some thousand random blocks are made, repacked into planes, and each
 * plane is repeated up to the size of the matrix. Generating every block of a 26 GB model would take minutes.
 */
import { ggufBytes, repackTensor } from '../format/quantization/repack.ts';
import { layoutTensor, type TensorLayout, WEIGHT_TYPES, type WeightTypeName } from '../format/weight-layout.ts';
import { hashName, writeBlock } from '../synth/random-blocks.ts';

/** Blocks that are made per matrix. */
const PATTERN_BLOCKS = 1024;

/** The planes of {@link PATTERN_BLOCKS} random blocks. */
function patternOf(type: WeightTypeName, deviation: number, seed: number): Uint8Array[] {
  const weightType = WEIGHT_TYPES[type];
  const cols = PATTERN_BLOCKS * weightType.blockWeights;
  const source = new Uint8Array(ggufBytes(weightType, 1, cols));
  for (let n = 0; n < PATTERN_BLOCKS; n++) {
    writeBlock({ type, seed, deviation }, n, source, n * weightType.blockBytes);
  }
  const layout = layoutTensor('pattern', weightType, 1, cols, 0);
  const planes = new Uint8Array(layout.bytes);
  repackTensor(source, layout, planes);
  return weightType.planes.map(({ bytes }, plane) =>
    planes.subarray(layout.planeOffsets[plane], layout.planeOffsets[plane] + PATTERN_BLOCKS * bytes),
  );
}

/**
 * Writes random weights to where `layout` puts the matrix in its record.
 * @param deviation standard deviation of the weights; default: outputs have that of the inputs
 */
export function fillRandom(
  record: Uint8Array,
  layout: TensorLayout,
  deviation = 1 / Math.sqrt(layout.cols),
): Uint8Array {
  const pattern = patternOf(layout.type, deviation, hashName(layout.name, 1));
  const ends = [...layout.planeOffsets.slice(1), layout.bytes];
  for (const [plane, bytes] of pattern.entries()) {
    const start = layout.offset + layout.planeOffsets[plane];
    repeat(record.subarray(start, layout.offset + ends[plane]), bytes);
  }
  return record;
}

/** Writes ones, the weights of a norm. */
export function fillOnes(record: Uint8Array, { offset, cols }: TensorLayout): void {
  new Float32Array(record.buffer, record.byteOffset + offset, cols).fill(1);
}

/** Fills `target` with copies of `pattern`, doubling what is there: a few large copies instead of many small ones. */
function repeat(target: Uint8Array, pattern: Uint8Array): void {
  let filled = Math.min(pattern.byteLength, target.byteLength);
  target.set(pattern.subarray(0, filled));
  while (filled < target.byteLength) {
    // A whole number of patterns, so that every block keeps the phase of its fields.
    const length = Math.min(filled, target.byteLength - filled);
    target.copyWithin(filled, 0, length);
    filled += length;
  }
}
