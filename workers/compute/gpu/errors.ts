/** Converts the failures of WebGPU (error scopes, a lost device) into MixtabErrors. */
import { MixtabError } from '../../../src/contract/errors.ts';

/**
 * Runs GPU allocations and returns the result of `allocate`. If any of them fails, nothing stays allocated.
 * @param allocate frees what it has allocated if it throws
 * @param release frees the result; called if WebGPU reports that an allocation in it failed
 * @throws MixtabError `gpu-out-of-memory` if there was not enough memory, `internal` for a validation error (a bug in
 * mixtab)
 */
export async function withAllocations<T>(
  device: GPUDevice,
  allocate: () => Promise<T> | T,
  release: (result: T) => void,
): Promise<T> {
  device.pushErrorScope('validation');
  device.pushErrorScope('out-of-memory');
  let result: { value: T } | undefined;
  let thrown: unknown;
  try {
    result = { value: await allocate() };
  } catch (error) {
    thrown = error;
  }
  try {
    // Both scopes are popped at once, so that they do not catch errors of uploads that start in the meantime.
    const [outOfMemory, invalid] = await Promise.all([device.popErrorScope(), device.popErrorScope()]);
    if (!result) throw thrown;
    if (outOfMemory) throw allocationFailed(outOfMemory);
    if (invalid) throw allocationRejected(invalid);
    return result.value;
  } catch (error) {
    if (result) release(result.value);
    throw error;
  }
}

/** Whether an error says that the GPU had too little memory. */
export const isOutOfMemory = (error: unknown): boolean =>
  error instanceof MixtabError && error.code === 'gpu-out-of-memory';

const allocationFailed = ({ message }: GPUError): MixtabError =>
  new MixtabError(
    'gpu-out-of-memory',
    `The GPU has too little memory for this model: ${message}`,
    'Lower the GPU budget or the context in the settings, or close other tabs that use the GPU.',
  );

const allocationRejected = ({ message }: GPUError): MixtabError =>
  new MixtabError('internal', `WebGPU rejected an allocation: ${message}`, 'Reload the page and load the model again.');

/** Watches a device for being lost and for errors that WebGPU reports outside of any error scope. */
export class DeviceHealth {
  readonly #failure = new AbortController();
  #error: MixtabError | undefined;

  constructor(device: GPUDevice) {
    device.lost.then((info) => {
      // Calling destroy() ourselves is not a failure.
      if (info.reason !== 'destroyed') this.#fail(deviceLost(info));
    });
    device.addEventListener('uncapturederror', (event) => {
      const { error } = event as GPUUncapturedErrorEvent;
      console.error(error.message);
      if (!this.#error) this.#fail(reportedError(error));
    });
  }

  /** Aborted at the first failure, with a MixtabError as its reason. Pass it to work that must end at once. */
  get signal(): AbortSignal {
    return this.#failure.signal;
  }

  /** As {@link signal}. Its reason is the loss of the device even if another error was reported before it. */
  get failure(): AbortSignal {
    const { signal } = this;
    return this.#error && this.#error !== signal.reason ? AbortSignal.abort(this.#error) : signal;
  }

  /** Whether the contents of the device's memory can no longer be trusted. */
  get failed(): boolean {
    return this.#error !== undefined;
  }

  /** @throws MixtabError `webgpu-device-lost`, `gpu-out-of-memory` or `internal` if the device has failed */
  check(): void {
    if (this.#error) throw this.#error;
  }

  /** A loss replaces an error that was reported before it: the user has to load the model again in any case. */
  #fail(error: MixtabError): void {
    this.#error = error;
    this.#failure.abort(error);
  }
}

const deviceLost = ({ message }: GPUDeviceLostInfo): MixtabError =>
  new MixtabError(
    'webgpu-device-lost',
    `The browser took the GPU away: ${message || 'no reason given'}.`,
    'Load the model again. If this happens again, lower the GPU budget in the settings.',
  );

function reportedError(error: GPUError): MixtabError {
  const outOfMemory = error instanceof GPUOutOfMemoryError;
  return new MixtabError(
    outOfMemory ? 'gpu-out-of-memory' : 'internal',
    `WebGPU reported an error: ${error.message}`,
    outOfMemory ? 'Lower the GPU budget in the settings and load the model again.' : 'Load the model again.',
  );
}
