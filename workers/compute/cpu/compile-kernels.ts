/** Fetches and compiles the CPU kernels. */
import { MixtabError } from '../../../src/contract/errors.ts';
import url from './kernels.wasm?url';
import { wasmBlocked } from './wasm-support.ts';

/** Compiled once: with a module per load, Chromium's process grew by 0.2 MB each time (docs/measurements/soak.md). */
let compiled: Promise<WebAssembly.Module> | undefined;

/** @throws MixtabError `wasm-unsupported` if a policy forbids it, `source-unreachable` if the file cannot be fetched */
export function compileKernels(): Promise<WebAssembly.Module> {
  compiled ??= fetchAndCompile().catch((error: unknown) => {
    compiled = undefined; // the next load tries again
    throw error;
  });
  return compiled;
}

async function fetchAndCompile(): Promise<WebAssembly.Module> {
  const response = await fetch(url).catch(() => undefined);
  if (!response?.ok) {
    throw new MixtabError(
      'source-unreachable',
      'The code that computes on the CPU could not be fetched.',
      'Check the connection and try again.',
    );
  }
  try {
    return await WebAssembly.compile(await response.arrayBuffer());
  } catch (error) {
    throw wasmBlocked(error);
  }
}
