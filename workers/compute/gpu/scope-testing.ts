/** For tests of what happens when an allocation fails: memory that really ends would take the machine's with it. */
import { vi } from 'vitest';

/** Lets the next error scopes that are popped, one after the other, report these; `vi.restoreAllMocks` ends it. */
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
