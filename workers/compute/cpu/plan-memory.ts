/** Divides the budget of main memory: which threads hold what, and how many expert slots remain. */
import type { Bytes } from '../../../src/contract/ids.ts';
import type { ModelConfig } from '../../../src/contract/import-api.ts';
import { type PoolPlan, planSlots } from '../../experts/budget.ts';
import type { RecordSlice } from '../../format/slices.ts';
import { kvCacheBytes } from '../compute.ts';
import { contextOf, deviceMemory, type LoadInputs } from '../loading.ts';
import { sumBytes } from '../model-records.ts';
import { CHUNK_TOKENS } from './cpu-model.ts';
import { sliceBytes } from './cpu-slot-memory.ts';
import { slicesOf } from './partition.ts';
import { BANK_BYTES, scratchBytes } from './thread-bank.ts';
import { type ThreadShape, threadShape } from './thread-shape.ts';

/** GiB to assume if the browser does not report its device memory (Firefox, Safari). */
const DEFAULT_DEVICE_MEMORY = 4;

export interface PlanInputs extends LoadInputs {
  /** Weights that one memory takes at most; default: {@link BANK_BYTES}. Tests use less, to need several. */
  bankBytes?: Bytes;
}

/** What is decided before anything is allocated. */
export interface Plan {
  config: ModelConfig;
  context: number;
  shapes: ThreadShape[];
  outputParts: number[];
  /** How each expert is cut: [layer][expert][thread]. */
  slices: RecordSlice[][][];
  pools: PoolPlan[];
  /** Bytes of everything but the slots, and of the slots. */
  fixedBytes: Bytes;
  slotsBytes: Bytes;
}

/**
 * Decides what every thread holds within the budget.
 * @param share of the automatic budget; a budget from the request is never changed
 * @throws MixtabError `ram-budget-too-small`, `record-missing`
 */
export function planMemory(inputs: PlanInputs, threads: number, share: number): Plan {
  const { records, request } = inputs;
  const { config } = records.manifest;
  const context = contextOf(inputs);
  const dense = records.denseRecords();
  const outputParts = dense.flatMap(({ tensors }) =>
    tensors.filter(({ name }) => name === 'output').map(({ rows }) => rows),
  );
  const { bankBytes = BANK_BYTES } = inputs;
  const shapes = Array.from({ length: threads }, (_, thread) =>
    threadShape({ config, threads, context, chunkTokens: CHUNK_TOKENS, bankBytes }, outputParts, thread),
  );
  const slices = records
    .expertLayouts()
    .map((layer) => layer.map(({ gate, up, down }) => slicesOf([gate, up, down], config, threads)));
  const slotBytes = slices.map((layer) => Math.max(...layer.map(sliceBytes)));
  const { expertCount, expertsPerToken } = config;
  const heldBytes = sumBytes(dense) + kvCacheBytes(config, context) + promptBytes(config, context);
  const allSlotBytes = slotBytes.reduce((sum, bytes) => sum + expertCount * bytes, 0);
  const usefulBytes = heldBytes + allSlotBytes + activationBytes(shapes, heldBytes + allSlotBytes);
  const budgetBytes = request.ramBudgetBytes ?? share * automaticBudget(usefulBytes);
  const fixedBytes = heldBytes + activationBytes(shapes, Math.min(budgetBytes, heldBytes + allSlotBytes));
  const automatic = request.ramBudgetBytes === undefined;
  const slotBudget = { memory: 'ram', budgetBytes, automatic, fixedBytes, slotBytes } as const;
  const pools = planSlots({ ...slotBudget, expertCount, expertsPerToken });
  const slotsBytes = pools.reduce(
    (sum, { layers, slots }) => sum + slots * Math.max(...layers.map((layer) => slotBytes[layer])),
    0,
  );
  return { config, context, shapes, outputParts, slices, pools, fixedBytes, slotsBytes };
}

/** The activations of the longest prompt: residual, normalized residual, and sums of experts' outputs. */
const promptBytes = ({ embeddingLength }: ModelConfig, context: number): Bytes => 3 * context * embeddingLength * 4;

/** Room for activations in all memories of all threads. @param weightBytes what the memories hold besides */
function activationBytes(shapes: readonly ThreadShape[], weightBytes: Bytes): Bytes {
  const banks = Math.ceil(weightBytes / shapes.length / shapes[0].bankBytes);
  return banks * shapes.reduce((sum, shape) => sum + scratchBytes(shape), 0);
}

/** Half of the device's memory at most: other tabs and the system need the rest. */
function automaticBudget(usefulBytes: Bytes): Bytes {
  return Math.min(usefulBytes, ((deviceMemory() ?? DEFAULT_DEVICE_MEMORY) * 2 ** 30) / 2);
}
