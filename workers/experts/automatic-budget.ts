/** Memory budgets for users who have not set any: what kind of memory a GPU has, and how much of it to use. Pure. */
import type { AdapterReport } from '../../src/contract/engine-api.ts';
import type { Bytes } from '../../src/contract/ids.ts';

const GIB: Bytes = 2 ** 30;
/** GiB to assume if the browser does not report its device memory (Firefox, Safari): that of a current phone. */
const DEFAULT_DEVICE_MEMORY = 4;
/** WebGPU vendor names of GPUs that never have memory of their own. */
const UNIFIED_VENDORS = /^(apple|qualcomm|arm|img|imagination|samsung|microsoft)/i;
/** Bytes per second. The main memory of nearly all machines is slower than this, that of current graphics cards faster. */
const SHARED_RATE = 150e9;
/**
 * A slow graphics card copies from main memory over a bus, at less than this share of the rate at which it copies
 * within its own memory. Without memory of its own, a GPU copies from both equally fast.
 */
const BUS_SHARE = 0.4;
/**
 * GiB of `navigator.deviceMemory` from which a Mac may have much more: browsers report at most 8 or 32, depending on
 * their version.
 */
const CAPPED_DEVICE_MEMORY = 8;
/** GiB from which other programs leave half of the main memory free. Machines of 16 and more may report 8. */
const LARGE_DEVICE_MEMORY = 8;
/** The share of the memory that was found on a large Mac which is used. */
const MAC_SHARE = 0.75;
/** How much further than the last good budget a machine with shared memory may go. */
const GROWTH = 1.5;

/** What is known about a GPU when its budget is chosen. */
export interface BudgetAdapter extends Pick<AdapterReport, 'software' | 'vendor'> {
  /** Whether the browser runs on a phone or tablet, where the system ends programs that use much memory. */
  mobile?: boolean;
  /** Bytes per second at which the GPU reads its memory; undefined if that was not measured. */
  readRate?: number | undefined;
  /** Bytes per second at which the GPU copies within its memory; undefined if that was not measured. */
  copyRate?: number | undefined;
  /** Bytes per second at which it copies from main memory; undefined if that was not measured. */
  hostCopyRate?: number | undefined;
}

/**
 * Where a GPU has its memory. `software`: it is none. `phone`: main memory of a phone or tablet. `shared`: main memory.
 * `own`: memory that nothing else uses, or main memory that is as fast.
 */
export type MemoryKind = 'software' | 'phone' | 'shared' | 'own';

/**
 * The kind of a GPU's memory. Its read rate decides, because the vendors of laptop GPUs also make graphics cards. Slow
 * cards are no faster than main memory; their bus gives them away. Only vendors without graphics cards are known by
 * name: the main memory of large Macs is as fast as a card's.
 */
export function memoryKind({ software, vendor, mobile, ...rates }: BudgetAdapter): MemoryKind {
  if (software) return 'software';
  if (mobile) return 'phone';
  if (UNIFIED_VENDORS.test(vendor)) return 'shared';
  return isSlow(rates) && !hasBus(rates) ? 'shared' : 'own';
}

type Rates = Pick<BudgetAdapter, 'readRate' | 'copyRate' | 'hostCopyRate'>;

/** Whether the GPU reads its memory no faster than others read main memory. */
export const isSlow = ({ readRate }: Rates): boolean => readRate !== undefined && readRate < SHARED_RATE;

const hasBus = ({ copyRate, hostCopyRate }: Rates): boolean =>
  copyRate !== undefined && hostCopyRate !== undefined && hostCopyRate < BUS_SHARE * copyRate;

/**
 * Whether the rates should be measured: they decide about this adapter, and are unknown or low. A low one may have been
 * disturbed by a program that used the GPU at that moment.
 */
export const ratesAreOpen = ({ readRate, ...adapter }: BudgetAdapter): boolean =>
  memoryKind(adapter) === 'own' && (readRate === undefined || isSlow({ readRate }));

/** How a GPU's memory is probed. */
export interface ProbePlan {
  /** The most bytes to allocate. */
  limit: Bytes;
  /** Bytes per allocation. */
  pieceBytes: Bytes;
  /** If this many bytes are found, the model gets all that it wants. */
  enough: Bytes;
  /** The share of less than that which is used. The rest is for other programs. */
  usedShare: number;
}

/**
 * How to probe a GPU.
 * @param deviceMemory `navigator.deviceMemory` in GiB, which browsers round and cap
 * @param wanted bytes that the model uses with every expert resident
 * @param good the largest budget that has worked on this adapter; 0 if none has
 */
export function probePlan(
  adapter: BudgetAdapter,
  deviceMemory: number | undefined,
  wanted: Bytes,
  good: Bytes = 0,
): ProbePlan {
  const main = (deviceMemory ?? DEFAULT_DEVICE_MEMORY) * GIB;
  const careful = { pieceBytes: 256 * 2 ** 20, enough: wanted, usedShare: 0.85 };
  switch (memoryKind(adapter)) {
    case 'software': // also shares the CPU cores
      return { ...careful, limit: Math.min(wanted, main / 4) };
    case 'phone':
      return { ...careful, limit: Math.min(wanted, main / 4), pieceBytes: 64 * 2 ** 20 };
    case 'shared': {
      // A Mac moves memory of other programs out gradually and refuses nothing, so its probe ends where it gets slower.
      // It has to hold more than is used, for the programs that run beside it.
      if (/^apple/i.test(adapter.vendor) && (deviceMemory ?? 0) >= CAPPED_DEVICE_MEMORY) {
        const enough = Math.ceil(wanted / MAC_SHARE);
        return { ...careful, limit: enough, enough, usedShare: MAC_SHARE };
      }
      // Others may end programs without a warning, so they begin with half, and grow from one load to the next.
      const grown = Math.min(main * 0.75, good * GROWTH);
      return { ...careful, limit: Math.min(wanted, Math.max(main / 2, grown)) };
    }
    case 'own':
      return { ...careful, limit: wanted };
  }
}

/** GPU budget, given what a probe found. Leaves some memory for the screen and other pages. */
export const gpuBudgetOf = (found: Bytes, wanted: Bytes, { enough, usedShare }: ProbePlan): Bytes =>
  found >= enough ? wanted : Math.min(wanted, Math.floor(found * usedShare));

/**
 * Main memory budget for experts without a slot: half of the device's memory if it is large, else a quarter, or 0 if
 * the GPU uses it too.
 */
export function automaticRamBudget(adapter: BudgetAdapter, deviceMemory: number | undefined): Bytes {
  if (memoryKind(adapter) !== 'own') return 0;
  const gib = deviceMemory ?? DEFAULT_DEVICE_MEMORY;
  return (gib * GIB) / (gib >= LARGE_DEVICE_MEMORY ? 2 : 4);
}
