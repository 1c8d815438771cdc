/** A record's bytes as the store has them: one after another, not copied into one piece, which would cost as much as reading. */
import type { Bytes } from '../../src/contract/ids.ts';

export interface RecordParts {
  readonly byteLength: Bytes;
  /** In order; all but the last are of a multiple of 4 bytes. */
  readonly parts: readonly Uint8Array<ArrayBuffer>[];
}

export const onePart = (bytes: Uint8Array<ArrayBuffer>): RecordParts => ({
  byteLength: bytes.byteLength,
  parts: [bytes],
});

/**
 * Everything in one piece; the piece itself where there is only one.
 * @param allocate where the piece's memory comes from
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

/** The pieces of bytes `from .. from + length - 1`, each with its distance from `from`; nothing is copied. */
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
