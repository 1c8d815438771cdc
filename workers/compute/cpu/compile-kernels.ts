/** Fetches and compiles the CPU kernels. */
import { MixtabError } from '../../../src/contract/errors.ts';
import url from './kernels.wasm?url';
import { wasmBlocked } from './wasm-support.ts';

/** @throws MixtabError `wasm-unsupported` if a policy forbids it, `source-unreachable` if the file cannot be fetched */
export async function compileKernels(): Promise<WebAssembly.Module> {
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
