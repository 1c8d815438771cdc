/** How fast weights get to the GPU: written in pieces of several sizes, and through mapped staging buffers. */
import type { Slice } from '../../compute/gpu/dispatch.ts';
import type { Measurement } from '../measurement.ts';
import { idle } from '../timing.ts';

const MIB = 2 ** 20;
/** Sizes of the pieces. Browsers treat writes from 4 MiB on differently. */
const PIECES = [MIB, 4 * MIB - 4, 4 * MIB, 16 * MIB];
/** Staging buffers of the ring, and bytes of each. */
const RING = 4;
const RING_BYTES = 16 * MIB;

/** Uploads into one buffer, again and again. */
export async function measureUploads(measurement: Measurement): Promise<void> {
  const { device, shapes } = measurement;
  await measurement.withBuffers(async (buffers) => {
    const bytes = Math.min(shapes.uploadBytes, 64 * MIB, device.limits.maxBufferSize);
    const target = buffers.allocate(bytes);
    const source = new Uint8Array(bytes).fill(7);
    const rounds = Math.max(1, Math.round(shapes.uploadBytes / bytes));
    const rate = async (upload: () => Promise<void> | void): Promise<number> => {
      await upload();
      await idle(device);
      const start = performance.now();
      for (let round = 0; round < rounds; round++) await upload();
      await idle(device);
      return (bytes * rounds) / 1e6 / (performance.now() - start);
    };
    for (const piece of PIECES.filter((size) => size <= bytes)) {
      if (measurement.isOver) return;
      const value = await rate(() => write(device, target, source, piece));
      measurement.add({ name: `writeBuffer in pieces of ${pieceName(piece)}`, value, unit: 'GB/s' });
    }
    if (measurement.isOver) return;
    const ring = new StagingRing(device, Math.min(RING_BYTES, bytes));
    const value = await rate(() => ring.write(target, source));
    ring.destroy();
    measurement.add({ name: `${RING} mapped buffers of ${pieceName(ring.bytes)}`, value, unit: 'GB/s' });
  });
}

const pieceName = (bytes: number): string =>
  bytes % MIB ? `${bytes / MIB + 4 / MIB} MiB less 4` : `${bytes / MIB} MiB`;

function write(device: GPUDevice, target: Slice, source: Uint8Array<ArrayBuffer>, piece: number): void {
  for (let at = 0; at < source.byteLength; at += piece) {
    device.queue.writeBuffer(target.buffer, at, source.subarray(at, at + piece));
  }
}

/** Staging buffers that are filled while they are mapped, copied from, and mapped again. */
class StagingRing {
  readonly #buffers: GPUBuffer[];
  /** Resolves when the buffer can be filled. */
  readonly #mapped: Promise<unknown>[];
  #next = 0;

  constructor(
    readonly device: GPUDevice,
    readonly bytes: number,
  ) {
    this.#buffers = Array.from({ length: RING }, () =>
      device.createBuffer({ label: 'staging', size: bytes, usage: GPUBufferUsage.MAP_WRITE | GPUBufferUsage.COPY_SRC }),
    );
    this.#mapped = this.#buffers.map((buffer) => buffer.mapAsync(GPUMapMode.WRITE));
  }

  async write(target: Slice, source: Uint8Array): Promise<void> {
    for (let at = 0; at < source.byteLength; at += this.bytes) {
      const index = this.#next++ % RING;
      const buffer = this.#buffers[index];
      await this.#mapped[index];
      const piece = source.subarray(at, at + this.bytes);
      new Uint8Array(buffer.getMappedRange()).set(piece);
      buffer.unmap();
      const encoder = this.device.createCommandEncoder();
      encoder.copyBufferToBuffer(buffer, 0, target.buffer, target.offset + at, piece.byteLength);
      this.device.queue.submit([encoder.finish()]);
      this.#mapped[index] = buffer.mapAsync(GPUMapMode.WRITE);
      this.#mapped[index].catch(() => {}); // reported to the next write; destroying the buffer rejects it too
    }
  }

  destroy(): void {
    for (const buffer of this.#buffers) buffer.destroy();
  }
}
