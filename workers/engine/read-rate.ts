/** Measures how fast a stored model's experts can be read. */
import type { Bytes } from '../../src/contract/ids.ts';
import { clockStepOf, LEAST_CLOCK_STEPS } from '../experts/clock-step.ts';
import { isExpertKey, type ModelManifest } from '../format/manifest.ts';
import type { RecordReader } from '../store/record-reader.ts';

/** As many as the engine reads at once while it generates. */
const READS_AT_ONCE = 2;

/** The measurement is repeated no more often than this, even if the clock has hardly moved. */
const MAX_REPEATS = 20;

/**
 * Reads experts in turn, at least `bytes` of them, once to check their hashes and then for the measurement.
 * @param now milliseconds; default: `performance.now`
 * @returns bytes per second
 */
export async function measureReadRate(
  reader: RecordReader,
  manifest: ModelManifest,
  bytes: Bytes,
  now: () => number = () => performance.now(),
): Promise<number> {
  await readExperts(reader, manifest, bytes);
  const stepMs = clockStepOf(now);
  const startedAt = now();
  let read = 0;
  let ms = 0;
  for (let repeat = 0; repeat < MAX_REPEATS && ms < LEAST_CLOCK_STEPS * stepMs; repeat++) {
    read += await readExperts(reader, manifest, bytes);
    ms = now() - startedAt;
  }
  return (read * 1000) / Math.max(ms, stepMs);
}

/** @returns the bytes that were read, at least `bytes` */
async function readExperts(reader: RecordReader, { id, records }: ModelManifest, bytes: Bytes): Promise<Bytes> {
  const experts = records.filter(({ key }) => isExpertKey(key));
  let bytesStarted = 0;
  let bytesRead = 0;
  const lane = async (): Promise<void> => {
    while (bytesStarted < bytes) {
      const record = experts[Math.floor(bytesStarted / experts[0].bytes) % experts.length];
      bytesStarted += record.bytes;
      const read = await reader.read(id, record);
      bytesRead += read.byteLength;
      reader.recycle?.(read);
    }
  };
  await Promise.all(Array.from({ length: READS_AT_ONCE }, lane));
  return bytesRead;
}
