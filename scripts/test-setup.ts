/** Runs before each file of Vitest's tests. Files of a process share what it changes, so it does that once. */
import { expect, vi } from 'vitest';
import { WAIT_MS } from './test-limits.mjs';

/**
 * Whether two typed arrays have the same bytes, and so are equal. Vitest takes six microseconds for each element. If the
 * bytes differ it has to decide, and says where they do.
 */
function haveSameBytes(a: unknown, b: unknown): true | undefined {
  if (!ArrayBuffer.isView(a) || !ArrayBuffer.isView(b)) return undefined;
  if (a.constructor !== b.constructor || a.byteLength !== b.byteLength) return undefined;
  const [x, y] = [a, b].map(({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength));
  for (let i = 0; i < x.length; i++) if (x[i] !== y[i]) return undefined;
  return true;
}

// Vitest has an option for `expect.poll`, but none for `vi.waitFor`, which would give up after a second.
const { waitFor } = vi;
if (waitFor.name !== 'waitPatiently') {
  vi.waitFor = function waitPatiently(callback, options) {
    return waitFor(callback, typeof options === 'number' ? options : { timeout: WAIT_MS, ...options });
  };
  expect.addEqualityTesters([haveSameBytes]);
}
