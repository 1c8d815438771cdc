/** Puts a stored model into the memories of the compute threads: dense weights, then expert slots within the budget. */
import type { Bytes } from '../../../src/contract/ids.ts';
import type { ModelConfig } from '../../../src/contract/import-api.ts';
import { type PoolPlan, planSlots } from '../../experts/budget.ts';
import { ExpertCache } from '../../experts/expert-cache.ts';
import { LikelihoodPublisher } from '../../experts/likelihood-publisher.ts';
import { EMBEDDING_KEY, isDenseLayerKey, isPartOf, OUTPUT_KEY, type RecordInfo } from '../../format/manifest.ts';
import { joinParts, type RecordParts } from '../../format/record-parts.ts';
import { copyToSlices, type RecordSlice } from '../../format/slices.ts';
import { type Compute, kvCacheBytes } from '../compute.ts';
import { contextOf, deviceMemory, type LoadInputs, preloadExperts } from '../loading.ts';
import { type ModelRecords, sumBytes } from '../model-records.ts';
import { ropeTable } from '../rope-table.ts';
import { CpuCompute } from './cpu-compute.ts';
import { CHUNK_TOKENS, type CpuModel } from './cpu-model.ts';
import { CpuSlotMemory, sliceBytes } from './cpu-slot-memory.ts';
import { Embedding } from './embedding.ts';
import { Forward } from './forward.ts';
import { HostKernels } from './host-kernels.ts';
import { CpuKvCache } from './kv-cache.ts';
import { slicesOf } from './partition.ts';
import { CpuSampler } from './sampler.ts';
import { scratchBytes } from './thread-bank.ts';
import { ThreadPool, type ThreadWorker } from './thread-pool.ts';
import { type ThreadShape, threadShape } from './thread-shape.ts';

/** GiB to assume if the browser does not report its device memory (Firefox, Safari). */
const DEFAULT_DEVICE_MEMORY = 4;

export interface CpuLoadInputs extends LoadInputs {
  /** The compiled kernels: see compile-kernels.ts. */
  wasm: WebAssembly.Module;
  threads: number;
  createWorker: () => ThreadWorker;
}

/** What is decided before anything is allocated. */
interface Plan {
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
 * Loads a model into the memories of `threads` threads.
 * @throws MixtabError `ram-budget-too-small`, `out-of-memory`, `worker-failed`, `record-missing`, `record-damaged`
 */
export async function loadCpuModel(inputs: CpuLoadInputs): Promise<Compute> {
  const { records, wasm, createWorker } = inputs;
  const plan = planMemory(inputs);
  const { config, shapes } = plan;
  const recycle = (buffer: ArrayBuffer): void =>
    records.recycle({ byteLength: buffer.byteLength, parts: [new Uint8Array(buffer)] });
  const pool = new ThreadPool({ module: wasm, shapes, createWorker, recycle });
  try {
    const host = new HostKernels(wasm, config, CHUNK_TOKENS);
    const embedding = new Embedding();
    await loadDenseWeights(inputs, { pool, host, embedding });
    const table = ropeTable(config, plan.context);
    const forward = new Forward({ ...plan, pool, host, embedding, ropeTable: table });
    const sampler = new CpuSampler(host.module, config.vocabularySize);
    const compute = createCompute(inputs, plan, { pool, forward, sampler });
    await preloadExperts(inputs, compute.experts, compute.slots);
    return compute;
  } catch (error) {
    pool.destroy();
    throw error;
  }
}

function planMemory(inputs: CpuLoadInputs): Plan {
  const { records, request, threads } = inputs;
  const { config } = records.manifest;
  const context = contextOf(inputs);
  const dense = records.denseRecords();
  const outputParts = dense.flatMap(({ tensors }) =>
    tensors.filter(({ name }) => name === 'output').map(({ rows }) => rows),
  );
  const shapes = Array.from({ length: threads }, (_, thread) =>
    threadShape({ config, threads, context, chunkTokens: CHUNK_TOKENS }, outputParts, thread),
  );
  const slices = records
    .expertLayouts()
    .map((layer) => layer.map(({ gate, up, down }) => slicesOf([gate, up, down], config, threads)));
  const slotBytes = slices.map((layer) => Math.max(...layer.map(sliceBytes)));
  const fixedBytes =
    sumBytes(dense) +
    kvCacheBytes(config, context) +
    shapes.reduce((sum, shape) => sum + scratchBytes(shape), 0) +
    promptBytes(config, context);
  const { expertCount, expertsPerToken } = config;
  const usefulBytes = fixedBytes + slotBytes.reduce((sum, bytes) => sum + expertCount * bytes, 0);
  const budgetBytes = request.ramBudgetBytes ?? automaticBudget(usefulBytes);
  const pools = planSlots({ memory: 'ram', budgetBytes, fixedBytes, slotBytes, expertCount, expertsPerToken });
  const slotsBytes = pools.reduce(
    (sum, { layers, slots }) => sum + slots * Math.max(...layers.map((layer) => slotBytes[layer])),
    0,
  );
  return { config, context, shapes, outputParts, slices, pools, fixedBytes, slotsBytes };
}

/** The activations of the longest prompt: residual, normalized residual, and sums of experts' outputs. */
const promptBytes = ({ embeddingLength }: ModelConfig, context: number): Bytes => 3 * context * embeddingLength * 4;

/** Half of the device's memory at most: other tabs and the system need the rest. */
function automaticBudget(usefulBytes: Bytes): Bytes {
  return Math.min(usefulBytes, ((deviceMemory() ?? DEFAULT_DEVICE_MEMORY) * 2 ** 30) / 2);
}

interface DenseTargets {
  pool: ThreadPool;
  host: HostKernels;
  embedding: Embedding;
}

/** Reads the dense records one after another, and gives every thread its rows. */
async function loadDenseWeights({ records, onProgress, threads }: CpuLoadInputs, targets: DenseTargets): Promise<void> {
  const dense = records.denseRecords();
  const bytesTotal = sumBytes(dense);
  let bytesDone = 0;
  for (const record of dense) {
    onProgress({ phase: 'dense', bytesDone, bytesTotal });
    const bytes = joinParts(await records.readDense(record));
    addDense(record, bytes, records.manifest.config, threads, targets);
    bytesDone += record.bytes;
  }
  onProgress({ phase: 'dense', bytesDone, bytesTotal });
}

function addDense(
  record: RecordInfo,
  bytes: Uint8Array<ArrayBuffer>,
  config: ModelConfig,
  threads: number,
  { pool, host, embedding }: DenseTargets,
): void {
  const { key, tensors } = record;
  if (isPartOf(key, EMBEDDING_KEY)) {
    embedding.add(tensors.find(({ name }) => name === 'token_embd')!, bytes);
    return;
  }
  if (isDenseLayerKey(key)) host.addLayer(tensors, bytes);
  if (key === OUTPUT_KEY) host.addOutputNorm(tensors, bytes);
  const slices = slicesOf(tensors, config, threads);
  const buffers = slices.map((slice) => new Uint8Array(slice.bytes));
  copyToSlices({ byteLength: bytes.byteLength, parts: [bytes] }, slices, buffers);
  for (let thread = 0; thread < threads; thread++) {
    const slice = { tensors: slices[thread].tensors, bytes: buffers[thread] };
    if (isDenseLayerKey(key)) pool.addLayer(thread, slice);
    else pool.addOutput(thread, slice);
  }
}

interface Parts {
  pool: ThreadPool;
  forward: Forward;
  sampler: CpuSampler;
}

function createCompute({ records }: CpuLoadInputs, plan: Plan, { pool, forward, sampler }: Parts): CpuCompute {
  const { manifest } = records;
  const { config, context, slices, pools } = plan;
  const memory = new CpuSlotMemory({ pool, slices, pools, expertCount: config.expertCount });
  const experts = new ExpertCache({
    memory,
    pools,
    readExpert: (layer, expert, signal) => records.readExpert(layer, expert, signal, slices[layer][expert]),
    ramBudgetBytes: 0, // the slots are in main memory already
    recycle: (record) => recycleAttached(records, record),
  });
  const publisher = manifest.state === 'importing' ? new LikelihoodPublisher(manifest) : undefined;
  const model: CpuModel = {
    config,
    forward,
    experts,
    routerOptions: { banned: new Set() },
    ...(publisher && { onRouterLogits: publisher.note }),
  };
  return new CpuCompute({
    model,
    pool,
    sampler,
    kvCache: new CpuKvCache(pool, plan.shapes, config, context),
    context,
    slots: pools.reduce((sum, { slots }) => sum + slots, 0),
    ramBytes: plan.fixedBytes + plan.slotsBytes,
    destroy: () => {
      experts.close();
      publisher?.destroy();
      pool.destroy();
    },
  });
}

/** Recycles the slices that were not sent to another thread. The others come back from there. */
function recycleAttached(records: ModelRecords, record: RecordParts): void {
  const parts = record.parts.filter(({ byteLength }) => byteLength > 0);
  records.recycle({ byteLength: parts.reduce((sum, { byteLength }) => sum + byteLength, 0), parts });
}
