/** Finds out whether this browser can compute with WebAssembly. Small: the page asks before any other code of the backend. */
import { MixtabError } from '../../../src/contract/errors.ts';

/** A module that uses SIMD, and nothing else: (func (result v128) i32.const 0 i8x16.splat) */
const SIMD_PROBE = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253, 15, 11],
);

/**
 * Why this browser cannot compute with WebAssembly; undefined if it can.
 */
export function wasmProblem(): MixtabError | undefined {
  const remedy = 'Use a current Chrome, Edge, Firefox or Safari.';
  if (typeof WebAssembly === 'undefined') {
    return new MixtabError('wasm-unsupported', 'This browser has no WebAssembly, or blocks it.', remedy);
  }
  if (!WebAssembly.validate(SIMD_PROBE)) {
    return new MixtabError('wasm-unsupported', 'The WebAssembly of this browser has no SIMD.', remedy);
  }
  try {
    new WebAssembly.Module(SIMD_PROBE);
    return undefined;
  } catch (error) {
    return wasmBlocked(error);
  }
}

/** The error for a policy that forbids WebAssembly. @param error what the browser threw */
export const wasmBlocked = (error: unknown): MixtabError =>
  new MixtabError(
    'wasm-unsupported',
    `A security policy of the browser or of this page blocks WebAssembly (${error instanceof Error ? error.message : String(error)}).`,
    "Allow WebAssembly for this page; a Content-Security-Policy needs 'wasm-unsafe-eval'.",
  );
