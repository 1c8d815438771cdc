/** Budgets where the user has set none. Pure. */
import type { AdapterReport } from '../../src/contract/engine-api.ts';
import type { Bytes } from '../../src/contract/ids.ts';

const GIB: Bytes = 2 ** 30;
/** Where the browser does not tell (Firefox, Safari): what a phone of today has. */
const UNKNOWN_MEMORY = 4;
/** GPUs that take their memory from the main one, by the vendor's name in WebGPU. */
const UNIFIED_VENDORS = /^(apple|intel|qualcomm|arm|img|imagination|samsung|microsoft)/i;

/** True where GPU memory is main memory: keeping experts in both would keep them twice in the same place. */
export function sharesMainMemory({ software, vendor }: Pick<AdapterReport, 'software' | 'vendor'>): boolean {
  return software || UNIFIED_VENDORS.test(vendor);
}

/**
 * The most GPU memory to ask a probe for.
 * @param deviceMemory `navigator.deviceMemory` in GiB, which browsers round and cap
 * @param wanted what the model takes with every expert resident
 */
export function gpuMemoryToProbe(
  adapter: Pick<AdapterReport, 'software' | 'vendor'>,
  deviceMemory: number | undefined,
  wanted: Bytes,
): Bytes {
  if (!sharesMainMemory(adapter)) return wanted;
  // The rest of the machine lives in the same memory; a software adapter also computes with the same cores.
  const share = adapter.software ? 1 / 4 : 1 / 2;
  return Math.min(wanted, (deviceMemory ?? UNKNOWN_MEMORY) * GIB * share);
}

/** What of the memory that a probe found is taken: the screen and other pages want some, too. */
export const gpuBudgetOf = (probed: Bytes, wanted: Bytes): Bytes =>
  probed >= wanted ? wanted : Math.floor(probed * 0.85);

/** Main memory for experts that lost their slot. */
export function automaticRamBudget(
  adapter: Pick<AdapterReport, 'software' | 'vendor'>,
  deviceMemory: number | undefined,
): Bytes {
  return sharesMainMemory(adapter) ? 0 : ((deviceMemory ?? UNKNOWN_MEMORY) * GIB) / 4;
}
