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

/** Copies of a record's parts in staging buffers, made while the rest of it is being read. Nothing is submitted. */
export interface StagedRecord {
  /** Copies a part as far as staging buffers are free. The part must keep its bytes until the record is uploaded. */
  add(part: Uint8Array<ArrayBuffer>): void;
  /** All parts have been read, and are those of `record`. Its upload uses the copies. */
  complete(record: RecordParts): void;
  /** Forgets the copies: the read has failed, was cancelled, or begins again. */
  reset(): void;
}

/** Queues copies to the GPU. */
export interface Uploads {
  /** Memory that it holds at this moment, on the GPU or mapped. */
  readonly bytes: Bytes;
  /** Begins to copy a record that is about to be read. Absent, or undefined: it is copied by its upload. */
  stage?(): StagedRecord | undefined;
  /** Forgets the copies of a record that was staged and is not uploaded after all. */
  forget?(record: RecordParts): void;
  /**
   * Queues copies.
   * @param record that the pieces are of, if it may have been staged
   */
  upload(pieces: readonly UploadPiece[], record?: RecordParts): void;
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
