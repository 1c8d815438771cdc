/**
 * Compares a record's bytes with its description. The checksum XXH64 finds damage while the record is read. SHA-256
 * decides if there is no usable checksum, or if it differs: then the checksum itself may be what is damaged.
 */
import type { RecordInfo } from '../format/manifest.ts';
import { findNonFiniteTensor } from '../format/quantization/finite-record.ts';
import { joinParts, type RecordParts } from '../format/record-parts.ts';
import type { TensorLayout } from '../format/weight-layout.ts';
import type { BufferPool } from './buffer-pool.ts';
import { sha256Hex, startChecksum } from './hash.ts';
import { damagedRecord, nonFiniteRecord } from './record-errors.ts';
import type { Checksum } from './xxh64.ts';

const XXH64 = /^[0-9a-f]{16}$/;

/** Starts the checksum of a record; undefined if SHA-256 has to check it. */
export async function startRecordChecksum({ xxh64 }: RecordInfo): Promise<Checksum | undefined> {
  return typeof xxh64 === 'string' && XXH64.test(xxh64) ? startChecksum() : undefined;
}

/** Accepts parts in any order, and hands them to `use` in theirs. */
export function inOrder<T>(use: (bytes: T, part: number) => void): (bytes: T, part: number) => void {
  const waiting = new Map<number, T>();
  let next = 0;
  return (bytes, part) => {
    waiting.set(part, bytes);
    for (let ready = waiting.get(next); ready; ready = waiting.get(next)) {
      use(ready, next);
      waiting.delete(next++);
    }
  };
}

/**
 * Checks a record with SHA-256.
 * @param buffers memory for joining the parts
 * @throws MixtabError `record-damaged`
 */
export async function checkSha256(record: RecordInfo, read: RecordParts, buffers?: BufferPool): Promise<void> {
  const whole = joinParts(read, buffers && ((size) => buffers.take(size)));
  const hash = await sha256Hex(whole);
  if (read.parts.length > 1) buffers?.recycle(whole.buffer);
  if (hash === record.sha256) return;
  throw damagedRecord(record, `its hash is ${hash.slice(0, 12)}… instead of ${String(record.sha256).slice(0, 12)}…`);
}

/**
 * Checks weights that the import of an earlier version did not check.
 * @param tensors where they are in `parts`: in the record, or in a slice of it
 * @throws MixtabError `not-finite` that names the tensor
 */
export function checkFinite(
  record: RecordInfo,
  tensors: readonly TensorLayout[],
  parts: readonly Uint8Array<ArrayBuffer>[],
): void {
  if (record.finite) return;
  const found = findNonFiniteTensor(tensors, parts);
  if (found) throw nonFiniteRecord(record, found.name, found.row);
}

/** Whether a record's bytes are those that were imported: by its checksum, or else by SHA-256. */
export async function isIntact(record: RecordInfo, bytes: Uint8Array<ArrayBuffer>): Promise<boolean> {
  const checksum = await startRecordChecksum(record);
  checksum?.update(bytes);
  if (checksum && checksum.digest() === record.xxh64) return true;
  return (await sha256Hex(bytes)) === record.sha256;
}
