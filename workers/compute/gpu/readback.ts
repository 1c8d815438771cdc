/**
 * Copies small results from the GPU to the CPU with one copy and one map. Several readbacks may be in flight at once.
 */

import { Stopwatch } from '../../experts/stopwatch.ts';
import type { Slice } from './dispatch.ts';
import { withFirefoxPoll } from './firefox-poll.ts';

/** A pool of staging buffers for one device. */
export class Readback {
  /** Staging buffers that are not in use. */
  readonly #free: GPUBuffer[] = [];
  #isDestroyed = false;

  /** Measures the time during which the CPU waits for the GPU. */
  readonly waiting: Stopwatch;

  /** @param now the clock for {@link waiting}, in milliseconds; default: `performance.now` */
  constructor(
    readonly device: GPUDevice,
    now?: () => number,
  ) {
    this.waiting = new Stopwatch(now);
  }

  /**
   * Adds copies of `slices` to `encoder`, finishes it and submits it at once. Resolves when the data has arrived.
   * @returns a copy of the bytes of each slice
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
    let bytes: ArrayBuffer;
    try {
      await this.waitFor(staging.mapAsync(GPUMapMode.READ, 0, total));
      bytes = staging.getMappedRange(0, total).slice(0);
    } catch (error) {
      staging.destroy();
      throw error;
    }
    staging.unmap();
    if (this.#isDestroyed) staging.destroy();
    else this.#free.push(staging);
    let end = 0;
    return slices.map(({ size }) => {
      end += size;
      return bytes.slice(end - size, end);
    });
  }

  /** Waits for a promise that the GPU settles, and counts the time in {@link waiting}. */
  waitFor<T>(done: Promise<T>): Promise<T> {
    return this.waiting.during(withFirefoxPoll(this.device.queue, done));
  }

  /** Frees the staging buffers, those in use when their data has arrived. */
  destroy(): void {
    this.#isDestroyed = true;
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
