/** What the engine calls to compute on the CPU: fetches the kernels, chooses the number of threads, loads the model. */
import type { Compute } from '../compute.ts';
import type { LoadInputs } from '../loading.ts';
import { compileKernels } from './compile-kernels.ts';
import { createThreadWorker } from './create-thread-worker.ts';
import { loadCpuModel } from './load-cpu-model.ts';
import { hasSharedMemory } from './shared-exchange.ts';
import { measureThreadCount, mostThreads } from './thread-count.ts';

export { compileKernels } from './compile-kernels.ts';

/** More threads than this do not help: the rate of main memory is the limit then. */
const MAX_THREADS = 16;

/**
 * @throws MixtabError `wasm-unsupported`, `source-unreachable`, and what {@link loadCpuModel} throws
 */
export async function loadCpuCompute(inputs: LoadInputs): Promise<Compute> {
  const { records, request } = inputs;
  const { config } = records.manifest;
  const limit = Math.min(MAX_THREADS, navigator.hardwareConcurrency || 1);
  const wasm = await compileKernels();
  const sharesMemory = hasSharedMemory();
  const threads =
    request.threads === undefined
      ? await measureThreadCount(wasm, config, limit, { createWorker: createThreadWorker, sharesMemory })
      : Math.min(request.threads, mostThreads(config));
  return loadCpuModel({ ...inputs, wasm, threads, createWorker: createThreadWorker, sharesMemory });
}
