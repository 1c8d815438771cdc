/** Reads a record from a synchronous access handle into reused buffers. */
import { throwIfAborted } from '../../src/contract/errors.ts';
import type { Bytes } from '../../src/contract/ids.ts';
import { PART_BYTES, type RecordInfo } from '../format/manifest.ts';
import type { RecordParts } from '../format/record-parts.ts';
import { clearPadding, type RecordSegment, type RecordSlice, segmentsOf } from '../format/slices.ts';
import { pendingMessages } from './pending-messages.ts';
import { wrongFileLength } from './record-errors.ts';
import type { PartReceiver, ReadOptions } from './store.ts';

/** The part of a FileSystemSyncAccessHandle that is read. */
interface ReadableFile {
  getSize(): number;
  read(piece: Uint8Array, options: { at: number }): number;
}

/** Bytes that belong to no slice are read into a buffer of this size, for the checksum. They are mostly padding. */
const GAP_BYTES: Bytes = 65536;

/**
 * Reads a file from front to back in pieces of at most PART_BYTES, straight into the buffer of the record or of its
 * slices, and checks `signal` between them. Parts that are handed over early have buffers of their own.
 * @throws MixtabError `record-damaged` if the file's length is wrong, `aborted`; its buffers are recycled
 */
export async function readFile(handle: ReadableFile, record: RecordInfo, options: ReadOptions): Promise<RecordParts> {
  const { buffers, slices = [wholeRecord(record.bytes)], parts: early, signal } = options;
  throwIfAborted(signal);
  const size = handle.getSize();
  if (size !== record.bytes) throw wrongFileLength(record, size);
  if (early && !options.slices && size > PART_BYTES) return readInParts(handle, record, early, options);
  const segments = segmentsOf(slices, size);
  const parts = slices.map(({ bytes }) => new Uint8Array(buffers.take(bytes)));
  try {
    await readSegments(handle, record, segments, parts, options);
  } catch (error) {
    for (const { buffer } of parts) buffers.recycle(buffer);
    throw error;
  }
  for (const [index, slice] of slices.entries()) clearPadding(slice, parts[index]);
  return { byteLength: size, parts };
}

/** Reads parts of PART_BYTES. Smaller ones are read more slowly (docs/measurements/streaming.md). */
async function readInParts(
  handle: ReadableFile,
  record: RecordInfo,
  early: PartReceiver,
  options: ReadOptions,
): Promise<RecordParts> {
  const { buffers, signal } = options;
  const size = record.bytes;
  const parts: Uint8Array<ArrayBuffer>[] = [];
  try {
    for (let start = 0; start < size; start += PART_BYTES) {
      const part = new Uint8Array(buffers.take(Math.min(PART_BYTES, size - start)));
      const slice = parts.push(part) - 1;
      const segment = { from: start, length: part.byteLength, targets: [{ slice, to: 0 }] };
      await readSegments(handle, record, [segment], parts, options);
      early.add(part, slice);
      throwIfAborted(signal);
    }
  } catch (error) {
    for (const { buffer } of parts) buffers.recycle(buffer);
    throw error;
  }
  return { byteLength: size, parts };
}

const wholeRecord = (bytes: Bytes): RecordSlice => ({
  bytes,
  tensors: [],
  ranges: bytes > 0 ? [{ from: 0, length: bytes, to: 0 }] : [],
});

async function readSegments(
  handle: ReadableFile,
  record: RecordInfo,
  segments: readonly RecordSegment[],
  parts: readonly Uint8Array[],
  { checksum, signal, onProgress }: ReadOptions,
): Promise<void> {
  const gap = new Uint8Array(checksum ? GAP_BYTES : 0);
  let sinceMessages: Bytes = 0;
  for (const { from, length, targets } of segments) {
    if (targets.length === 0 && !checksum) continue;
    const [first, ...copies] = targets;
    for (let done = 0; done < length; ) {
      const most = Math.min(length - done, PART_BYTES);
      const piece = first
        ? parts[first.slice].subarray(first.to + done, first.to + done + most)
        : gap.subarray(0, most);
      const read = handle.read(piece, { at: from + done });
      if (read === 0) throw wrongFileLength(record, from + done);
      const bytes = piece.subarray(0, read);
      checksum?.update(bytes);
      for (const { slice, to } of copies) parts[slice].set(bytes, to + done);
      done += read;
      onProgress?.();
      sinceMessages += read;
      if (!signal || sinceMessages < PART_BYTES) continue;
      sinceMessages = 0;
      await pendingMessages(); // synchronous reads block the worker
      throwIfAborted(signal);
    }
  }
}
