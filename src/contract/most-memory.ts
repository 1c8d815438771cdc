/** An upper limit of a model's memory, known before it is loaded. */
import type { LoadRequest } from './engine-api.ts';
import type { Bytes } from './ids.ts';

/** The parts of a request that limit memory. */
export type MemoryLimits = Pick<LoadRequest, 'compute' | 'gpuBudgetBytes' | 'ramBudgetBytes' | 'cpuBudgetBytes'>;

/**
 * The most memory that a model will take: as much as it has stored, or less if the budgets of the request are smaller.
 * An automatic budget may be smaller still, which the engine finds out when it loads the model.
 * @param limits without `compute`, the larger one of what the GPU and the CPU would take
 */
export function mostMemory(storedBytes: Bytes, limits: MemoryLimits): Bytes {
  const { compute = 'auto', gpuBudgetBytes: gpu, ramBudgetBytes: ram, cpuBudgetBytes } = limits;
  // Without a limit, main memory may keep all experts that do not fit on the GPU.
  const onGpu = gpu !== undefined && ram !== undefined ? gpu + ram : storedBytes;
  const onCpu = (compute === 'cpu' ? (ram ?? cpuBudgetBytes) : cpuBudgetBytes) ?? storedBytes;
  const budgets = [...(compute === 'cpu' ? [] : [onGpu]), ...(compute === 'gpu' ? [] : [onCpu])];
  return Math.min(storedBytes, Math.max(...budgets));
}
