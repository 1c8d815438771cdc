/**
 * What is uploaded, and `writeBuffer`. All uploads queue: work submitted before one still sees the old contents, work
 * submitted after it the new ones. None waits for anything (docs/streaming.md, "Uploads").
 */
import type { Bytes } from '../../../../src/contract/ids.ts';
import { type RecordParts, rangeOf } from '../../../format/record-parts.ts';

/** Bytes for one place in a buffer. */
export interface UploadPiece {
  buffer: GPUBuffer;
  /** Where in `buffer`: a multiple of 4. */
  offset: Bytes;
  /** A multiple of 4 long. Copied before `upload` returns. */
  bytes: Uint8Array<ArrayBuffer>;
}

/** Queues copies to the GPU. */
export interface Uploads {
  /** Memory that it holds at this moment, on the GPU or mapped. */
  readonly bytes: Bytes;
  /** Queues copies. */
  upload(pieces: readonly UploadPiece[]): void;
  /** Frees its memory. Later uploads need none: they are written with `writeBuffer`. */
  destroy(): void;
}

/**
 * Bytes per `writeBuffer` call. Chromium passes small writes to its GPU process through shared memory that it reuses,
 * and allocates new memory for large ones. Measured: 7.7 GB/s in pieces of 4 MB, 4.5 in 16 MB, 5.5 in 1 MB.
 */
const WRITE_BYTES: Bytes = 4 * 2 ** 20;
/** Queues a copy with `writeBuffer`. */
export function writePiece({ queue }: Pick<GPUDevice, 'queue'>, { buffer, offset, bytes }: UploadPiece): void {
  for (let start = 0; start < bytes.byteLength; start += WRITE_BYTES) {
    queue.writeBuffer(buffer, offset + start, bytes.subarray(start, start + WRITE_BYTES));
  }
}

/** Bytes `from .. from + length - 1` of a record, for `offset` in a buffer. Nothing is copied. */
export const piecesOf = (
  record: RecordParts,
  from: Bytes,
  length: Bytes,
  buffer: GPUBuffer,
  offset: Bytes,
): UploadPiece[] => rangeOf(record, from, length).map(({ at, bytes }) => ({ buffer, offset: offset + at, bytes }));
