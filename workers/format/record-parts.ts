/**
 * A record's bytes in several buffers, as the store delivers them. Copying them into one buffer would take as long as
 * reading them.
 */
import type { Bytes } from '../../src/contract/ids.ts';

/** A record's bytes, in order, or its slices (slices.ts). */
export interface RecordParts {
  /** Of the record. */
  readonly byteLength: Bytes;
  /** In order, or the buffers of the slices. The length of every part but the last is a multiple of 4 bytes. */
  readonly parts: readonly Uint8Array<ArrayBuffer>[];
}

/** A record that is in one buffer. */
export const onePart = (bytes: Uint8Array<ArrayBuffer>): RecordParts => ({
  byteLength: bytes.byteLength,
  parts: [bytes],
});

/**
 * Copies the parts into one buffer. A single part is returned as it is, without a copy.
 * @param allocate provides the buffer's memory
 */
export function joinParts(
  { byteLength, parts }: RecordParts,
  allocate = (size: Bytes) => new ArrayBuffer(size),
): Uint8Array<ArrayBuffer> {
  if (parts.length === 1) return parts[0];
  const whole = new Uint8Array(allocate(byteLength));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.byteLength;
  }
  return whole;
}

/** Views of the bytes `from .. from + length - 1`, each with its distance `at` from `from`. Nothing is copied. */
export function rangeOf(
  { parts }: RecordParts,
  from: Bytes,
  length: Bytes,
): { at: Bytes; bytes: Uint8Array<ArrayBuffer> }[] {
  const pieces: { at: Bytes; bytes: Uint8Array<ArrayBuffer> }[] = [];
  let start = 0;
  for (const part of parts) {
    const first = Math.max(from, start);
    const end = Math.min(from + length, start + part.byteLength);
    if (end > first) pieces.push({ at: first - from, bytes: part.subarray(first - start, end - start) });
    start += part.byteLength;
  }
  return pieces;
}
