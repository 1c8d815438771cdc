/**
 * How much GPU memory a model gets if the user has set no budget: measured, and checked again once everything is
 * allocated. What was learned is remembered per adapter.
 */
import { MixtabError } from '../../../src/contract/errors.ts';
import type { Bytes } from '../../../src/contract/ids.ts';
import { pageFacts } from '../../../src/contract/page-facts.ts';
import { type BudgetAdapter, gpuBudgetOf, isSlow, probePlan, ratesAreOpen } from '../../experts/automatic-budget.ts';
import {
  afterLoad,
  afterLoss,
  afterLostLoad,
  afterRates,
  type BudgetHistory,
  type BudgetLimits,
  limitsOf,
  type MemoryRates,
  readHistory,
  survived,
  whileTrying,
} from '../../experts/budget-history.ts';
import { findMemory, holdsAll, measureFirstPiece, readRateOf } from '../../experts/measured-memory.ts';
import { deviceMemory } from '../loading.ts';
import { changeFact } from './change-alone.ts';
import { GpuMemoryPieces, MOST_FIRST_BYTES, measureCopyRates, probeGpuMemory } from './memory-probe.ts';
import type { Gpu } from './open-gpu.ts';
import { holdLife, readWorkerEnds } from './worker-ends.ts';

/** Name of the history among the facts about an adapter. */
const FACT = 'gpu memory';
/** More than the cache of a slow GPU holds. */
const COPY_BYTES: Bytes = 32 * 2 ** 20;
/** A smaller buffer may be read from a cache, so its rate says nothing about the memory. */
const LEAST_TIMED_BYTES: Bytes = 64 * 2 ** 20;

/** Changes what is remembered about an adapter. Nothing is remembered if its memory is not measured. */
export async function changeHistory(
  { memory, measureMemory }: Pick<Gpu, 'memory' | 'measureMemory'>,
  change: (history: BudgetHistory) => BudgetHistory,
): Promise<BudgetHistory> {
  if (!measureMemory) return {};
  return changeFact(memory, FACT, readHistory, change);
}

/** What is known about the memory of a GPU before a model is loaded on it. */
export interface KnownMemory {
  adapter: BudgetAdapter;
  history: BudgetHistory;
  limits: BudgetLimits;
}

/** Collects what is known about the memory of a GPU. Measures its rate, unless that is remembered. */
export async function knownMemory(gpu: Gpu): Promise<KnownMemory> {
  const ends = await readWorkerEnds();
  let history = await changeHistory(gpu, (before) => survived(before, ends));
  const { vendor, software } = gpu.adapter;
  const adapterOf = ({ readRate, copyRate, hostCopyRate }: BudgetHistory): BudgetAdapter => ({
    vendor,
    software,
    mobile: isMobile(),
    readRate,
    copyRate,
    hostCopyRate,
  });
  const before = adapterOf(history);
  if (gpu.measureMemory && ratesAreOpen(before)) {
    const rates = await measureRates(gpu, probePlan(before, deviceMemory(), 0).pieceBytes);
    history = await changeHistory(gpu, (known) => afterRates(known, rates));
  }
  return {
    adapter: adapterOf(history),
    history,
    limits: limitsOf(history, Date.now()),
  };
}

export interface GpuBudgetInputs {
  gpu: Gpu;
  known: KnownMemory;
  /** Bytes with every expert resident. */
  wanted: Bytes;
  /** Bytes of the dense weights, which are on the GPU already; memory is probed on top of them. */
  usedBytes: Bytes;
  /** The smallest budget at which the model runs: a limit after a loss does not go below it. */
  leastBytes: Bytes;
}

/** The GPU budget of a model. */
export async function automaticGpuBudget(inputs: GpuBudgetInputs): Promise<Bytes> {
  const { gpu, known, wanted, usedBytes, leastBytes } = inputs;
  const { adapter, history, limits } = known;
  const { good = 0 } = history;
  const limit = Math.max(limits.budget, leastBytes);
  if (good >= wanted) return Math.min(wanted, limit); // checked again after it is allocated
  const plan = probePlan(adapter, deviceMemory(), wanted, good);
  const more = Math.max(0, Math.min(plan.limit, limit / plan.usedShare) - usedBytes);
  const found = gpu.measureMemory
    ? await measureMemory(gpu, { ...plan, limit: more }, usedBytes, good)
    : await probeGpuMemory(gpu.device, more);
  const total = usedBytes + found;
  return Math.min(Math.max(gpuBudgetOf(total, wanted, plan), Math.min(total, leastBytes)), limit);
}

/**
 * Checks that the GPU holds all buffers of a model at once.
 * @param timed whether it also has to be fast; otherwise only a failure counts
 * @throws MixtabError `gpu-out-of-memory`
 */
export async function checkHeld(gpu: Gpu, buffers: readonly GPUBuffer[], timed: boolean): Promise<void> {
  if (!gpu.measureMemory || buffers.length === 0) return;
  const largestFirst = [...buffers].sort((a, b) => b.size - a.size);
  const [{ size: firstBytes }] = largestFirst;
  const pieces = new GpuMemoryPieces(gpu, largestFirst);
  try {
    if (!(await pieces.readAll())) throw notHeld('could not use it all at once');
    if (!timed || firstBytes < LEAST_TIMED_BYTES) return;
    const rate = await readRateOf(pieces, Math.min(firstBytes, MOST_FIRST_BYTES));
    const bytes = buffers.reduce((sum, { size }) => sum + size, 0);
    if (rate === undefined || !(await holdsAll(pieces, bytes, rate))) throw notHeld('was slow to use it all at once');
  } finally {
    pieces.destroy();
  }
}

/** Remembers that a load has ended. @param good the automatic budget with which it succeeded, if any */
export const rememberLoad = (gpu: Gpu, good?: Bytes): Promise<BudgetHistory> =>
  changeHistory(gpu, (history) => afterLoad(history, good));

/** Remembers that the GPU failed while it computed. */
export const rememberLoss = (gpu: Gpu, used: Partial<BudgetLimits>): Promise<BudgetHistory> =>
  changeHistory(gpu, (history) => afterLoss(history, used, Date.now()));

/** Remembers that the GPU failed while a model was loaded. @param budget the automatic budget, if one was chosen */
export const rememberLostLoad = (gpu: Gpu, budget: Bytes | undefined): Promise<BudgetHistory> =>
  changeHistory(gpu, (history) => afterLostLoad(history, budget, Date.now()));

/** The rates of a GPU's memory. Those of copies are measured only if they decide. */
async function measureRates(gpu: Gpu, pieceBytes: Bytes): Promise<MemoryRates> {
  const readRate = await measureReadRate(gpu, pieceBytes);
  if (readRate === undefined) return {};
  const copyRates = isSlow({ readRate }) ? await measureCopyRates(gpu, COPY_BYTES) : undefined;
  return { readRate, ...copyRates };
}

async function measureReadRate(gpu: Gpu, pieceBytes: Bytes): Promise<number | undefined> {
  const pieces = new GpuMemoryPieces(gpu);
  try {
    return (await measureFirstPiece(pieces, Math.min(pieceBytes, gpu.device.limits.maxBufferSize)))?.rate;
  } finally {
    pieces.destroy();
  }
}

/** @returns the bytes that can be used besides `usedBytes`, at most `limit` */
async function measureMemory(
  gpu: Gpu,
  { limit, pieceBytes: step }: { limit: Bytes; pieceBytes: Bytes },
  usedBytes: Bytes,
  good: Bytes,
): Promise<Bytes> {
  const worker = await holdLife();
  const pieces = new GpuMemoryPieces(gpu);
  try {
    const pieceBytes = Math.min(step, gpu.device.limits.maxBufferSize);
    const first = await measureFirstPiece(pieces, Math.ceil(Math.min(pieceBytes, limit) / 4) * 4);
    if (!first) return 0;
    return await findMemory(first, {
      memory: pieces,
      pieceBytes,
      limit,
      known: Math.max(0, good - usedBytes),
      beforeStep: async (bytes) => {
        await changeHistory(gpu, (history) => whileTrying(history, usedBytes + bytes, { at: Date.now(), worker }));
      },
    });
  } finally {
    pieces.destroy();
  }
}

const notHeld = (problem: string): MixtabError =>
  new MixtabError(
    'gpu-out-of-memory',
    `The GPU accepted the memory of this model, but ${problem}.`,
    'Lower the GPU budget or the context in the settings, or close other tabs that use the GPU.',
  );

/**
 * Whether the browser says that it runs on a phone or tablet. An iPad calls itself a Mac, but Macs have no touchscreen.
 */
function isMobile(): boolean {
  const navigator = globalThis.navigator as { userAgent?: string; userAgentData?: { mobile?: boolean } } | undefined;
  const { userAgent = '', userAgentData } = navigator ?? {};
  if (userAgentData?.mobile === true || /Android|iPhone|iPad|Mobile/.test(userAgent)) return true;
  return /Macintosh/.test(userAgent) && pageFacts().maxTouchPoints > 1;
}
