/** Memory budgets for users who have not set any. Pure. */
import type { AdapterReport } from '../../src/contract/engine-api.ts';
import type { Bytes } from '../../src/contract/ids.ts';

const GIB: Bytes = 2 ** 30;
/** GiB to assume if the browser does not report its device memory (Firefox, Safari): that of a current phone. */
const DEFAULT_DEVICE_MEMORY = 4;
/** WebGPU vendor names of GPUs that use main memory. */
const UNIFIED_VENDORS = /^(apple|intel|qualcomm|arm|img|imagination|samsung|microsoft)/i;

/** True if GPU memory is main memory. Experts are then kept in slots only: a copy would take the same memory again. */
export function sharesMainMemory({ software, vendor }: Pick<AdapterReport, 'software' | 'vendor'>): boolean {
  return software || UNIFIED_VENDORS.test(vendor);
}

/**
 * The most GPU memory that a probe should allocate.
 * @param deviceMemory `navigator.deviceMemory` in GiB, which browsers round and cap
 * @param wanted bytes that the model uses with every expert resident
 */
export function gpuMemoryToProbe(
  adapter: Pick<AdapterReport, 'software' | 'vendor'>,
  deviceMemory: number | undefined,
  wanted: Bytes,
): Bytes {
  if (!sharesMainMemory(adapter)) return wanted;
  // The rest of the machine uses the same memory. A software adapter also shares the CPU cores.
  const share = adapter.software ? 1 / 4 : 1 / 2;
  return Math.min(wanted, (deviceMemory ?? DEFAULT_DEVICE_MEMORY) * GIB * share);
}

/** GPU budget, given what a probe could allocate. Leaves some memory for the screen and other pages. */
export const gpuBudgetOf = (probed: Bytes, wanted: Bytes): Bytes =>
  probed >= wanted ? wanted : Math.floor(probed * 0.85);

/** Main memory budget for recently read experts: a quarter of the device's memory, or 0 if the GPU uses it too. */
export function automaticRamBudget(
  adapter: Pick<AdapterReport, 'software' | 'vendor'>,
  deviceMemory: number | undefined,
): Bytes {
  return sharesMainMemory(adapter) ? 0 : ((deviceMemory ?? DEFAULT_DEVICE_MEMORY) * GIB) / 4;
}
