/** Loads models on the GPU or the CPU. Nothing else knows both. */
import type { AdapterReport, ComputeReport } from '../../src/contract/engine-api.ts';
import { fetchCode } from '../../src/contract/fetch-code.ts';
import type { Compute } from '../compute/compute.ts';
import { wasmProblem } from '../compute/cpu/wasm-support.ts';
import { findAdapter } from '../compute/gpu/device.ts';
import { type Gpu, openGpu } from '../compute/gpu/open-gpu.ts';
import { isWrongValues } from '../compute/gpu/wrong-values.ts';
import type { LoadInputs } from '../compute/loading.ts';
import { AdapterMemory, adapterKey } from '../store/adapter-memory.ts';
import { chooseCompute } from './choose-compute.ts';

export interface LoadedCompute {
  compute: Compute;
  report: ComputeReport;
  /** Absent if the browser has none. */
  adapter?: AdapterReport;
}

/** A GPU that can be used: already open, or to be opened. */
interface FoundGpu {
  /** Absent if there is no adapter. */
  adapter?: AdapterReport;
  /** Why there is no adapter. */
  error?: unknown;
  open(): Promise<Gpu>;
}

/** Chooses what computes a model, and loads it there. Keeps the GPU's device from one model to the next. */
export class ComputeLoader {
  #gpu: Gpu | undefined;
  #gpuFailures = 0;
  #gpuWrong = false;
  /** What was learned about adapters, which also serves if the browser stores nothing. */
  readonly #memories = new Map<string, AdapterMemory>();

  /**
   * @param adjust tests force kernel variants with it; called for each model that is loaded on the GPU
   * @param openAdapter tests give a device that is open already
   */
  constructor(
    private readonly adjust: (gpu: Gpu) => Gpu = (gpu) => gpu,
    private readonly openAdapter: typeof openGpu = openGpu,
  ) {}

  /**
   * Loads a model. If the GPU computes wrong values and was not asked for, the CPU takes its place.
   * @throws MixtabError if what is requested cannot compute, or an error of loading
   */
  async load(inputs: LoadInputs): Promise<LoadedCompute> {
    try {
      return await this.#load(inputs);
    } catch (error) {
      if (!isWrongValues(error)) throw error;
      this.#gpuWrong = true;
      if ((inputs.request.compute ?? 'auto') !== 'auto' || wasmProblem()) throw error;
      return this.#load(inputs);
    }
  }

  async #load(inputs: LoadInputs): Promise<LoadedCompute> {
    const { adapter, error, open } = await this.#findGpu();
    const report = chooseCompute({
      requested: inputs.request.compute ?? 'auto',
      adapter,
      gpuError: error,
      cpuError: wasmProblem(),
      gpuFailures: this.#gpuFailures,
      gpuWrong: this.#gpuWrong,
    });
    const compute =
      report.kind === 'cpu' ? await loadOnCpu(inputs) : await loadOnGpu(inputs, this.adjust(await open()));
    const { threads } = compute;
    return { compute, report: { ...report, ...(threads && { threads }) }, ...(adapter && { adapter }) };
  }

  /** Returns the GPU that is open, unless it has failed, or one that can be opened. */
  async #findGpu(): Promise<FoundGpu> {
    const gpu = this.#gpu;
    if (gpu && !gpu.health.failed) return { adapter: gpu.adapter, open: async () => gpu };
    gpu?.device.destroy();
    this.#gpu = undefined;
    const found = await findAdapter();
    if ('error' in found) return { error: found.error, open: () => Promise.reject(found.error) };
    return { adapter: found.report, open: () => this.#open(found.adapter, found.report) };
  }

  #memoryOf(report: AdapterReport): AdapterMemory {
    const key = adapterKey(report);
    const memory = this.#memories.get(key) ?? new AdapterMemory(key);
    this.#memories.set(key, memory);
    return memory;
  }

  async #open(adapter: GPUAdapter, report: AdapterReport): Promise<Gpu> {
    const gpu = await this.openAdapter(adapter, report, this.#memoryOf(report)).catch((error: unknown) => {
      this.#gpuFailures++;
      throw error;
    });
    gpu.health.signal.addEventListener('abort', () => this.#gpuFailures++);
    this.#gpu = gpu;
    return gpu;
  }
}

// The code of a backend is fetched when it is first needed.

async function loadOnGpu(inputs: LoadInputs, gpu: Gpu): Promise<Compute> {
  const { loadGpuCompute } = await fetchCode('computes on the GPU', () => import('../compute/gpu/load-gpu-model.ts'));
  return loadGpuCompute({ ...inputs, gpu });
}

const fetchCpuCode = () => fetchCode('computes on the CPU', () => import('../compute/cpu/load-cpu-compute.ts'));

/** Fetches and compiles what the CPU needs, before a model is loaded. If that fails, the load tries again. */
export function prefetchCpu(): void {
  fetchCpuCode()
    .then(({ compileKernels }) => compileKernels())
    .catch(() => {});
}

/** A CPU that was not asked for does not take the memory for evicted experts of the GPU as its whole budget. */
async function loadOnCpu({ request, ...inputs }: LoadInputs): Promise<Compute> {
  const { loadCpuCompute } = await fetchCpuCode();
  const { ramBudgetBytes, cpuBudgetBytes, ...rest } = request;
  const budget = request.compute === 'cpu' ? (ramBudgetBytes ?? cpuBudgetBytes) : cpuBudgetBytes;
  return loadCpuCompute({ ...inputs, request: { ...rest, ...(budget !== undefined && { ramBudgetBytes: budget }) } });
}
