/** Turns WebGPU's ways of failing (error scopes, a lost device) into MixtabErrors. */
import { MixtabError } from '../../../src/contract/errors.ts';

/**
 * Runs GPU allocations; fails where one of them runs out of memory or is invalid.
 * @throws MixtabError `gpu-out-of-memory`, or `internal` for a validation error (a bug of ours)
 */
export async function withAllocations<T>(device: GPUDevice, allocate: () => Promise<T> | T): Promise<T> {
  device.pushErrorScope('validation');
  device.pushErrorScope('out-of-memory');
  let result: T | undefined;
  let thrown: unknown;
  try {
    result = await allocate();
  } catch (error) {
    thrown = error;
  }
  // Both at once: what is uploaded meanwhile must not fall into a scope of ours.
  const [outOfMemory, invalid] = await Promise.all([device.popErrorScope(), device.popErrorScope()]);
  if (thrown) throw thrown;
  if (outOfMemory) {
    throw new MixtabError(
      'gpu-out-of-memory',
      `The GPU has no memory left for this model: ${outOfMemory.message}`,
      'Lower the GPU budget or the context in the settings, or close other tabs that use the GPU.',
    );
  }
  if (invalid) throw new MixtabError('internal', `WebGPU refused an allocation: ${invalid.message}`);
  return result as T;
}

/** Watches a device: `check` throws what has gone wrong with it since. */
export class DeviceHealth {
  #lost: GPUDeviceLostInfo | undefined;
  #uncaptured: GPUError | undefined;
  #failed = false;

  constructor(device: GPUDevice) {
    device.lost.then((info) => {
      // Destroying the device ourselves is no loss.
      if (info.reason !== 'destroyed') this.#lost = info;
    });
    device.addEventListener('uncapturederror', (event) => {
      console.error((event as GPUUncapturedErrorEvent).error.message);
      this.#failed = true;
      this.#uncaptured ??= (event as GPUUncapturedErrorEvent).error;
    });
  }

  /** Whether what is in the device's memory cannot be trusted any more. */
  get failed(): boolean {
    return this.#failed || this.#lost !== undefined;
  }

  /** @throws MixtabError `webgpu-device-lost`, `gpu-out-of-memory` or `internal` */
  check(): void {
    if (this.#lost) {
      throw new MixtabError(
        'webgpu-device-lost',
        `The browser took the GPU away: ${this.#lost.message || 'no reason given'}.`,
        'Load the model again; if it happens again, lower the GPU budget in the settings.',
      );
    }
    const error = this.#uncaptured;
    this.#uncaptured = undefined;
    if (!error) return;
    const outOfMemory = error instanceof GPUOutOfMemoryError;
    throw new MixtabError(
      outOfMemory ? 'gpu-out-of-memory' : 'internal',
      `WebGPU reported: ${error.message}`,
      outOfMemory ? 'Lower the GPU budget in the settings and load the model again.' : 'Load the model again.',
    );
  }
}
