/** How fast weights get to the GPU: written in pieces of several sizes, and through mapped staging buffers. */
import type { Slice } from '../../compute/gpu/dispatch.ts';
import { UploadRing } from '../../compute/gpu/uploads/upload-ring.ts';
import { LEAST_CLOCK_STEPS } from '../../experts/clock-step.ts';
import type { Measurement } from '../measurement.ts';
import { idle } from '../timing.ts';

const MIB = 2 ** 20;
/** Sizes of the pieces. Browsers treat writes from 4 MiB on differently. */
const PIECES = [MIB, 4 * MIB - 4, 4 * MIB, 16 * MIB];
/** Bytes of a ring, and sizes of its staging buffers: the engine's are of 16 MiB. */
const RING_BYTES = 64 * MIB;
const STAGING = [4 * MIB, 16 * MIB];

/** More rounds are not made, however coarse the clock is. */
const MAX_ROUNDS = 100;

/** Uploads into one buffer, again and again. */
export async function measureUploads(measurement: Measurement): Promise<void> {
  const { device, shapes } = measurement;
  await measurement.withBuffers(async (buffers) => {
    const bytes = Math.min(shapes.uploadBytes, 64 * MIB, device.limits.maxBufferSize);
    const target = buffers.allocate(bytes);
    const source = new Uint8Array(bytes).fill(7);
    const rounds = Math.max(1, Math.round(shapes.uploadBytes / bytes));
    const leastMs = LEAST_CLOCK_STEPS * measurement.gpu.clockStepMs;
    const rate = async (upload: () => void): Promise<number> => {
      upload();
      await idle(device);
      const start = performance.now();
      let ms = 0;
      let round = 0;
      for (; round < rounds || (ms < leastMs && round < MAX_ROUNDS); round++) {
        upload();
        await idle(device); // or all would be in memory at once, and no staging buffer would be mapped again
        ms = performance.now() - start;
      }
      return (bytes * round) / 1e6 / Math.max(ms, measurement.gpu.clockStepMs);
    };
    for (const piece of PIECES.filter((size) => size <= bytes)) {
      if (measurement.isOver) return;
      const value = await rate(() => write(device, target, source, piece));
      measurement.add({ name: `writeBuffer in pieces of ${pieceName(piece)}`, value, unit: 'GB/s' });
    }
    for (const size of STAGING.filter((staging) => staging <= bytes)) {
      if (measurement.isOver) return;
      const ring = new UploadRing(device, Math.min(RING_BYTES, bytes), size);
      const value = await rate(() => ring.upload([{ buffer: target.buffer, offset: target.offset, bytes: source }]));
      ring.destroy();
      measurement.add({ name: `mapped buffers of ${pieceName(size)}`, value, unit: 'GB/s' });
    }
  });
}

const pieceName = (bytes: number): string =>
  bytes % MIB ? `${bytes / MIB + 4 / MIB} MiB less 4` : `${bytes / MIB} MiB`;

function write(device: GPUDevice, target: Slice, source: Uint8Array<ArrayBuffer>, piece: number): void {
  for (let at = 0; at < source.byteLength; at += piece) {
    device.queue.writeBuffer(target.buffer, at, source.subarray(at, at + piece));
  }
}
