/** Runs before each file of Vitest's tests. */
import { vi } from 'vitest';
import { WAIT_MS } from './test-limits.mjs';

// Vitest has an option for `expect.poll`, but none for `vi.waitFor`, which would give up after a second.
const { waitFor } = vi;
if (waitFor.name !== 'waitPatiently') {
  vi.waitFor = function waitPatiently(callback, options) {
    return waitFor(callback, typeof options === 'number' ? options : { timeout: WAIT_MS, ...options });
  };
}
