/** The way of uploads that an adapter gets: `writeBuffer`, or a ring of mapped staging buffers. */
import type { Bytes } from '../../../../src/contract/ids.ts';
import { type Uploads, writePiece } from './upload-piece.ts';
import { UploadRing } from './upload-ring.ts';

/** `write`: `writeBuffer`; `ring`: mapped staging buffers. */
export const UPLOAD_WAYS = ['write', 'ring'] as const;
export type UploadWay = (typeof UPLOAD_WAYS)[number];

/**
 * The largest staging buffer. Unmapping one passes all of it to the GPU, filled or not. Measured on the software adapter
 * for 16 MiB: 10 ms through one buffer, 16 through four, 26 with `writeBuffer`.
 */
const MAX_STAGING_BYTES: Bytes = 16 * 2 ** 20;
/** Records that a ring has room for: two that are uploaded, and two that the GPU still copies. */
const RECORDS = 4;
/** The most memory of a ring: enough for an expert of Mixtral 8x7B in Q4_K, and two thirds of one in Q8_0. */
const MAX_RING_BYTES: Bytes = 128 * 2 ** 20;
/** A submission for each record would cost more than it saves if records are smaller. */
const LEAST_RECORD_BYTES: Bytes = 2 ** 20;

/**
 * The staging buffers of a ring. A record that is too large for one is divided equally: one of 17 MiB would fill a
 * buffer of 16 MiB and occupy a second one for the rest.
 * @param record bytes of the largest record
 * @param maxBufferSize the device's limit
 */
export function ringShape(record: Bytes, maxBufferSize: Bytes): { count: number; stagingBytes: Bytes } {
  const perRecord = Math.ceil(record / Math.min(MAX_STAGING_BYTES, maxBufferSize));
  const stagingBytes = Math.ceil(record / perRecord / 4) * 4;
  return { count: Math.min(RECORDS * perRecord, Math.floor(MAX_RING_BYTES / stagingBytes)), stagingBytes };
}

/** @param record bytes of the largest record that is uploaded while the model is used */
export function createUploads(device: GPUDevice, way: UploadWay, record: Bytes): Uploads {
  if (way === 'ring' && record >= LEAST_RECORD_BYTES) {
    const { count, stagingBytes } = ringShape(record, device.limits.maxBufferSize);
    return new UploadRing(device, count * stagingBytes, stagingBytes);
  }
  return {
    bytes: 0,
    upload: (pieces) => {
      for (const piece of pieces) writePiece(device, piece);
    },
    destroy: () => {},
  };
}
