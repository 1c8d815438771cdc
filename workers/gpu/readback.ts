/** Brings small results to the CPU: one staging buffer, one copy, one map. */
import type { Slice } from './dispatch.ts';

export class Readback {
  #staging: GPUBuffer | undefined;

  constructor(readonly device: GPUDevice) {}

  /**
   * Ends and submits `encoder` with copies of `slices`, and waits for them.
   * @returns the bytes of each slice; a copy that stays valid
   */
  async submit(encoder: GPUCommandEncoder, slices: readonly Slice[]): Promise<ArrayBuffer[]> {
    const total = slices.reduce((sum, { size }) => sum + size, 0);
    const staging = this.#stagingOf(total);
    let at = 0;
    for (const { buffer, offset, size } of slices) {
      encoder.copyBufferToBuffer(buffer, offset, staging, at, size);
      at += size;
    }
    this.device.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ, 0, total);
    const bytes = staging.getMappedRange(0, total).slice(0);
    staging.unmap();
    let end = 0;
    return slices.map(({ size }) => {
      end += size;
      return bytes.slice(end - size, end);
    });
  }

  destroy(): void {
    this.#staging?.destroy();
  }

  #stagingOf(bytes: number): GPUBuffer {
    if (!this.#staging || this.#staging.size < bytes) {
      this.#staging?.destroy();
      this.#staging = this.device.createBuffer({
        label: 'readback',
        size: bytes,
        usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
      });
    }
    return this.#staging;
  }
}
