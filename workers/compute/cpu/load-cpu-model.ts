/** Loads a stored model into the memories of the compute threads: dense weights, then expert slots within the budget. */
import { MixtabError } from '../../../src/contract/errors.ts';
import type { ModelConfig } from '../../../src/contract/import-api.ts';
import { ExpertCache } from '../../experts/expert-cache.ts';
import { LikelihoodPublisher } from '../../experts/likelihood-publisher.ts';
import { EMBEDDING_KEY, isDenseLayerKey, isPartOf, OUTPUT_KEY, type RecordInfo } from '../../format/manifest.ts';
import { joinParts, onePart, type RecordParts } from '../../format/record-parts.ts';
import { copyToSlices } from '../../format/slices.ts';
import type { Compute } from '../compute.ts';
import { preloadExperts } from '../loading.ts';
import { type ModelRecords, sumBytes } from '../model-records.ts';
import { ropeTable } from '../rope-table.ts';
import { CpuCompute } from './cpu-compute.ts';
import { CHUNK_TOKENS, type CpuModel } from './cpu-model.ts';
import { CpuSlotMemory } from './cpu-slot-memory.ts';
import { Embedding } from './embedding.ts';
import { Forward } from './forward.ts';
import { HostKernels } from './host-kernels.ts';
import { CpuKvCache } from './kv-cache.ts';
import { MessageYield } from './message-yield.ts';
import { slicesOf } from './partition.ts';
import { type Plan, type PlanInputs, planMemory } from './plan-memory.ts';
import { ReusedFloats } from './reused-floats.ts';
import { CpuSampler } from './sampler.ts';
import { ThreadPool, type ThreadWorker } from './thread-pool.ts';

/** What remains of an automatic budget that turned out to be too large. */
const BUDGET_RETRY_SHARE = 0.75;

export interface CpuLoadInputs extends PlanInputs {
  /** The compiled kernels: see compile-kernels.ts. */
  wasm: WebAssembly.Module;
  threads: number;
  createWorker: () => ThreadWorker;
  sharesMemory: boolean;
}

/**
 * Loads a model into the memories of `threads` threads.
 * @throws MixtabError `ram-budget-too-small`, `out-of-memory`, `worker-failed`, `record-missing`, `record-damaged`
 */
export async function loadCpuModel(inputs: CpuLoadInputs): Promise<Compute> {
  let outOfMemory: unknown;
  for (let share = 1; ; share *= BUDGET_RETRY_SHARE) {
    try {
      return await loadWithin(inputs, planMemory(inputs, inputs.threads, share));
    } catch (error) {
      const code = error instanceof MixtabError ? error.code : undefined;
      // Nobody has set a budget that the user could raise: the cause is the memory that ran out.
      if (code === 'ram-budget-too-small') throw outOfMemory ?? error;
      if (code !== 'out-of-memory' || inputs.request.ramBudgetBytes !== undefined) throw error;
      outOfMemory = error; // ends with ram-budget-too-small at the latest
    }
  }
}

async function loadWithin(inputs: CpuLoadInputs, plan: Plan): Promise<Compute> {
  const { records, wasm, createWorker, sharesMemory } = inputs;
  const { config, shapes } = plan;
  const recycle = (buffer: ArrayBuffer): void => records.recycle(onePart(new Uint8Array(buffer)));
  const pool = new ThreadPool({ module: wasm, shapes, createWorker, recycle, sharesMemory });
  let compute: CpuCompute | undefined;
  try {
    const host = new HostKernels(wasm, config, CHUNK_TOKENS);
    const embedding = new Embedding();
    await loadDenseWeights(inputs, { pool, host, embedding });
    const table = ropeTable(config, plan.context);
    const forward = new Forward({ ...plan, pool, host, embedding, ropeTable: table });
    const sampler = new CpuSampler(host.module, config.vocabularySize);
    compute = createCompute(inputs, plan, { pool, forward, sampler });
    await pool.settled(); // all threads have their memory
    await preloadExperts(inputs, compute.experts, compute.slots);
    return compute;
  } catch (error) {
    (compute ?? pool).destroy();
    throw error;
  }
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
  copyToSlices(onePart(bytes), slices, buffers);
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
    expertsPerToken: manifest.config.expertsPerToken,
    readExpert: (layer, expert, signal) => records.readExpert(layer, expert, signal, { slices: slices[layer][expert] }),
    ramBudgetBytes: 0, // the slots are in main memory already
    recycle: (record) => recycleAttached(records, record),
  });
  const publisher = manifest.state === 'importing' ? new LikelihoodPublisher(manifest) : undefined;
  const model: CpuModel = {
    config,
    forward,
    experts,
    messageYield: new MessageYield(),
    expertOutputs: new ReusedFloats(),
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
