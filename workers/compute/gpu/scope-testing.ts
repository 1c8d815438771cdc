/** Simulates failed allocations in tests, because really exhausting the GPU memory would disturb the whole machine. */
import { vi } from 'vitest';

/** Makes the next error scopes that are popped report these errors, in order, until `vi.restoreAllMocks`. */
export function scopesReport(...errors: (GPUError | null)[]): void {
  const pop = GPUDevice.prototype.popErrorScope;
  const spy = vi.spyOn(GPUDevice.prototype, 'popErrorScope');
  for (const error of errors) {
    spy.mockImplementationOnce(async function (this: GPUDevice) {
      await pop.call(this);
      return error;
    });
  }
}
