/** Brings small results to the CPU: one copy, one map; several may be under way at once. */
import type { Slice } from './dispatch.ts';
import { withFirefoxPoll } from './firefox-poll.ts';
import { Stopwatch } from './stopwatch.ts';

export class Readback {
  /** Staging buffers that are not in use. */
  readonly #free: GPUBuffer[] = [];

  /** Runs while the GPU is waited for. */
  readonly waiting: Stopwatch;

  /** @param now milliseconds, by which waiting is measured */
  constructor(
    readonly device: GPUDevice,
    now?: () => number,
  ) {
    this.waiting = new Stopwatch(now);
  }

  /**
   * Ends and submits `encoder` with copies of `slices`, at once; resolves when they have arrived.
   * @returns the bytes of each slice; a copy that stays valid
   */
  async submit(encoder: GPUCommandEncoder, slices: readonly Slice[]): Promise<ArrayBuffer[]> {
    const total = slices.reduce((sum, { size }) => sum + size, 0);
    const staging = this.#take(total);
    let at = 0;
    for (const { buffer, offset, size } of slices) {
      encoder.copyBufferToBuffer(buffer, offset, staging, at, size);
      at += size;
    }
    this.device.queue.submit([encoder.finish()]);
    await this.waitFor(staging.mapAsync(GPUMapMode.READ, 0, total));
    const bytes = staging.getMappedRange(0, total).slice(0);
    staging.unmap();
    this.#free.push(staging);
    let end = 0;
    return slices.map(({ size }) => {
      end += size;
      return bytes.slice(end - size, end);
    });
  }

  /** Waits until the GPU has `done` something. */
  waitFor<T>(done: Promise<T>): Promise<T> {
    return this.waiting.during(withFirefoxPoll(this.device.queue, done));
  }

  /** Frees the staging buffers; those still on their way are lost with the device's queue. */
  destroy(): void {
    for (const buffer of this.#free) buffer.destroy();
    this.#free.length = 0;
  }

  #take(bytes: number): GPUBuffer {
    const index = this.#free.findIndex(({ size }) => size >= bytes);
    if (index >= 0) return this.#free.splice(index, 1)[0];
    return this.device.createBuffer({
      label: 'readback',
      size: bytes,
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
  }
}
