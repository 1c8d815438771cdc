/** Fetches and compiles the CPU kernels. */
import { MixtabError } from '../../../src/contract/errors.ts';
import { within } from '../../../src/contract/within.ts';
import { START_LIMIT_MS } from '../../../src/contract/worker-life.ts';
import url from './kernels.wasm?url';
import { wasmBlocked } from './wasm-support.ts';

/** Compiled once: with a module per load, Chromium's process grew by 0.2 MB each time (docs/measurements/soak.md). */
let compiled: Promise<WebAssembly.Module> | undefined;

/**
 * @throws MixtabError `wasm-unsupported` if a policy forbids it, `source-unreachable` if the file has not arrived after a
 * minute
 */
export function compileKernels(): Promise<WebAssembly.Module> {
  compiled ??= fetchAndCompile().catch((error: unknown) => {
    compiled = undefined; // the next load tries again
    throw error;
  });
  return compiled;
}

async function fetchAndCompile(): Promise<WebAssembly.Module> {
  // A connection that stands still has no other end.
  const bytes = await within(START_LIMIT_MS, fetchBytes(), () =>
    unreachable(`has not arrived within ${START_LIMIT_MS / 1000} s`),
  );
  try {
    return await WebAssembly.compile(bytes);
  } catch (error) {
    throw wasmBlocked(error);
  }
}

async function fetchBytes(): Promise<ArrayBuffer> {
  const response = await fetch(url).catch(() => undefined);
  const bytes = response?.ok && (await response.arrayBuffer().catch(() => undefined));
  if (!bytes) throw unreachable('could not be fetched');
  return bytes;
}

const unreachable = (what: string): MixtabError =>
  new MixtabError(
    'source-unreachable',
    `The code that computes on the CPU ${what}.`,
    'Check the connection and try again.',
  );
