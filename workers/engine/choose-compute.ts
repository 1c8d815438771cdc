/** Decides what computes a model. Pure. */
import type { AdapterReport, ComputeKind, ComputeReport } from '../../src/contract/engine-api.ts';

/** After this many failures of the GPU, `auto` uses the CPU. */
const MAX_GPU_FAILURES = 2;

export interface ComputeFacts {
  requested: ComputeKind | 'auto';
  /** Absent if the browser has no WebGPU or no adapter. */
  adapter: Pick<AdapterReport, 'software'> | undefined;
  /** Why there is no adapter. */
  gpuError?: unknown;
  /** Why the CPU cannot compute; absent if it can. */
  cpuError?: unknown;
  /** How often the GPU has failed since the engine was started. */
  gpuFailures: number;
  /** Whether its kernels have failed their self-test since then. */
  gpuWrong?: boolean;
}

/**
 * Chooses as the request says, or automatically: a real GPU that works, else the CPU, else any GPU.
 * @throws `gpuError` or `cpuError` if what is requested cannot compute, or nothing can
 */
export function chooseCompute(facts: ComputeFacts): ComputeReport {
  const { requested, adapter, gpuError, cpuError } = facts;
  if (requested === 'cpu') {
    if (cpuError) throw cpuError;
    return { kind: 'cpu', reason: 'requested' };
  }
  if (requested === 'gpu') {
    if (!adapter) throw gpuError;
    return { kind: 'gpu', reason: 'requested' };
  }
  const reason = automaticReason(facts);
  if (reason !== 'gpu' && !cpuError) return { kind: 'cpu', reason };
  if (!adapter) throw gpuError;
  return { kind: 'gpu', reason };
}

function automaticReason({ adapter, gpuFailures, gpuWrong }: ComputeFacts): ComputeReport['reason'] {
  if (!adapter) return 'no-gpu';
  if (adapter.software) return 'software-gpu';
  if (gpuWrong) return 'gpu-wrong-values';
  return gpuFailures >= MAX_GPU_FAILURES ? 'gpu-failed' : 'gpu';
}
