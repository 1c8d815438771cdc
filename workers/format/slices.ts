/**
 * Cuts a record by rows for several compute threads. A plane stores row after row, so a thread's rows are one range of
 * bytes in each plane. A thread has its ranges in one buffer, its slice, in the same layout as a record: each tensor
 * has its planes and alignments, only fewer rows. Pure.
 */
import type { Bytes } from '../../src/contract/ids.ts';
import type { RecordParts } from './record-parts.ts';
import { blocksPerRow, layoutTensor, type TensorLayout, WEIGHT_TYPES } from './weight-layout.ts';

/** The rows `from .. to - 1` of a matrix; none if `from` equals `to`. */
export interface RowRange {
  from: number;
  to: number;
}

/** `length` bytes that begin at `from` of the record and at `to` of the slice. */
export interface SliceRange {
  from: Bytes;
  length: Bytes;
  to: Bytes;
}

/** One thread's part of a record. */
export interface RecordSlice {
  /** Size of the slice's buffer; 0 for a thread without rows. */
  bytes: Bytes;
  /** One per tensor of the record, in its order, with offsets in the slice. A matrix may have 0 rows. */
  tensors: TensorLayout[];
  /** Ascending in both `from` and `to`, never empty. Bytes of the slice between them are padding. */
  ranges: SliceRange[];
}

/**
 * Cuts a record by rows. A row may go to several threads, or to none.
 * @param rowRanges the rows of each thread, one range per tensor: `rowRanges[thread][tensor]`
 * @returns one slice per thread
 * @throws RangeError if a range is not within its matrix, or if there are more or fewer ranges than tensors
 */
export function sliceRecord(
  tensors: readonly TensorLayout[],
  rowRanges: readonly (readonly RowRange[])[],
): RecordSlice[] {
  return rowRanges.map((rows) => sliceOf(tensors, rows));
}

function sliceOf(tensors: readonly TensorLayout[], rows: readonly RowRange[]): RecordSlice {
  if (rows.length !== tensors.length) throw new RangeError(`${rows.length} row ranges for ${tensors.length} tensors`);
  const slice: RecordSlice = { bytes: 0, tensors: [], ranges: [] };
  for (const [index, tensor] of tensors.entries()) {
    const { name, cols } = tensor;
    const { from, to } = checkRows(tensor, rows[index]);
    const layout = layoutTensor(name, WEIGHT_TYPES[tensor.type], to - from, cols, slice.bytes);
    for (const range of rangesOf(tensor, layout, from)) addRange(slice.ranges, range);
    slice.tensors.push(layout);
    slice.bytes += layout.bytes;
  }
  return slice;
}

function checkRows({ name, rows }: TensorLayout, range: RowRange): RowRange {
  const { from, to } = range;
  if (Number.isInteger(from) && Number.isInteger(to) && 0 <= from && from <= to && to <= rows) return range;
  throw new RangeError(`rows ${from} to ${to} of ${name}, which has ${rows}`);
}

/** Where the rows of `layout` are in `tensor`, which begins `firstRow` rows earlier. */
function rangesOf(tensor: TensorLayout, layout: TensorLayout, firstRow: number): SliceRange[] {
  if (layout.rows === 0) return [];
  // All rows: one range with the padding, which is zero in the record.
  if (layout.rows === tensor.rows) return [{ from: tensor.offset, length: tensor.bytes, to: layout.offset }];
  const type = WEIGHT_TYPES[tensor.type];
  return type.planes.map(({ bytes }, plane) => {
    const rowBytes = blocksPerRow(type, tensor.cols) * bytes;
    return {
      from: tensor.offset + tensor.planeOffsets[plane] + firstRow * rowBytes,
      length: layout.rows * rowBytes,
      to: layout.offset + layout.planeOffsets[plane],
    };
  });
}

/** Extends the last range if the new one continues it in the record and in the slice. */
function addRange(ranges: SliceRange[], range: SliceRange): void {
  const last = ranges.at(-1);
  if (last && last.from + last.length === range.from && last.to + last.length === range.to) last.length += range.length;
  else ranges.push(range);
}

/** A range of a record, and where it goes: the index of each slice that has it, and its start there. */
export interface RecordSegment {
  from: Bytes;
  length: Bytes;
  targets: { slice: number; to: Bytes }[];
}

/**
 * Lists what a reader does with a record that it reads from front to back.
 * @param recordBytes size of the record
 * @returns segments that cover the whole record in order; those without targets belong to no slice
 * @throws RangeError if a slice is larger than the record, or has ranges beyond the record's end or out of order
 */
export function segmentsOf(slices: readonly RecordSlice[], recordBytes: Bytes): RecordSegment[] {
  for (const slice of slices) checkRanges(slice, recordBytes);
  const edges = new Set([0, recordBytes]);
  for (const { ranges } of slices) {
    for (const { from, length } of ranges) edges.add(from).add(from + length);
  }
  const starts = [...edges].sort((a, b) => a - b);
  const next = slices.map(() => 0); // index of each slice's first range that does not end before the segment
  return starts.slice(0, -1).map((from, index) => {
    const targets: RecordSegment['targets'] = [];
    for (const [slice, { ranges }] of slices.entries()) {
      while (next[slice] < ranges.length && ranges[next[slice]].from + ranges[next[slice]].length <= from)
        next[slice]++;
      const range = ranges[next[slice]];
      if (range && range.from <= from) targets.push({ slice, to: range.to + from - range.from });
    }
    return { from, length: starts[index + 1] - from, targets };
  });
}

function checkRanges({ bytes, ranges }: RecordSlice, recordBytes: Bytes): void {
  let [from, to] = [0, 0];
  for (const range of ranges) {
    const valid = [range.from, range.length, range.to].every(Number.isSafeInteger) && range.length > 0;
    if (!valid || range.from < from || range.to < to) throw new RangeError('the ranges of a slice are out of order');
    [from, to] = [range.from + range.length, range.to + range.length];
  }
  if (from > recordBytes || to > bytes || !(bytes <= recordBytes)) {
    throw new RangeError(`a slice of ${bytes} bytes ends at ${to}, and at ${from} of the record's ${recordBytes}`);
  }
}

/** Zeroes the padding of a slice, because its buffer may hold other bytes. */
export function clearPadding({ bytes, ranges }: RecordSlice, buffer: Uint8Array): void {
  let end = 0;
  for (const { to, length } of ranges) {
    buffer.fill(0, end, to);
    end = to + length;
  }
  buffer.fill(0, end, bytes);
}

/**
 * Copies a piece of a record into slices.
 * @param at where the piece begins in the record
 * @param buffers one per slice, with its size
 */
export function copyPiece(
  segments: readonly RecordSegment[],
  at: Bytes,
  piece: Uint8Array,
  buffers: readonly Uint8Array[],
): void {
  for (const { from, length, targets } of segments) {
    const first = Math.max(from, at);
    const end = Math.min(from + length, at + piece.byteLength);
    if (end <= first) continue;
    for (const { slice, to } of targets) buffers[slice].set(piece.subarray(first - at, end - at), to + first - from);
  }
}

/**
 * Copies a record that has been read into slices.
 * @param buffers one per slice, with its size
 * @throws RangeError see {@link segmentsOf}
 */
export function copyToSlices(
  record: RecordParts,
  slices: readonly RecordSlice[],
  buffers: readonly Uint8Array[],
): void {
  const segments = segmentsOf(slices, record.byteLength);
  let at = 0;
  for (const part of record.parts) {
    copyPiece(segments, at, part, buffers);
    at += part.byteLength;
  }
  for (const [index, slice] of slices.entries()) clearPadding(slice, buffers[index]);
}
