/** Puts a stored model on the GPU: dense weights, memory budget, slots, KV cache, step buffers, kernels. */
import type { AdapterReport, LoadProgress, LoadRequest } from '../../../src/contract/engine-api.ts';
import { MixtabError } from '../../../src/contract/errors.ts';
import { type Bytes, expertIndex, layerIndex } from '../../../src/contract/ids.ts';
import { automaticRamBudget, gpuBudgetOf, gpuMemoryToProbe } from '../../experts/automatic-budget.ts';
import { type PoolPlan, planSlots } from '../../experts/budget.ts';
import { ExpertCache } from '../../experts/expert-cache.ts';
import { LikelihoodPublisher } from '../../experts/likelihood-publisher.ts';
import { importEnded } from '../../store/record-requests.ts';
import { kvCacheBytes } from '../compute.ts';
import { type LayerExperts, type ModelRecords, sumBytes } from '../model-records.ts';
import { ropeTable } from '../rope-table.ts';
import { type Slice, whole } from './dispatch.ts';
import { withAllocations } from './errors.ts';
import type { GpuModel } from './gpu-model.ts';
import { probeGpuMemory } from './memory-probe.ts';
import { createStepBuffers, prefillBuffersBytes, type StepShape, stepBufferBytes } from './model/buffers.ts';
import { KvCache } from './model/kv-cache.ts';
import type { Model } from './model/model.ts';
import { PrefillBuffers } from './model/prefill-buffers.ts';
import { type DenseWeights, loadDenseWeights } from './model/weights.ts';
import { PipelineCache } from './pipelines.ts';
import { planKernels } from './plan-kernels.ts';
import { GpuSlotMemory, slotBytes } from './slot-memory.ts';

/** Context if the request names none. A longer one takes KV memory that most chats never use. */
const DEFAULT_CONTEXT = 4096;
/** Tokens of a prompt that go through a kernel together. */
const MAX_BATCH = 512;
/**
 * Models whose experts take less are put on the GPU completely while loading. The slots of larger ones fill with use.
 */
const PRELOAD_BYTES: Bytes = 512e6;
/** What remains of an automatic GPU budget that turned out to be too large. */
const BUDGET_RETRY_SHARE = 0.75;

export interface LoadInputs {
  device: GPUDevice;
  adapter: AdapterReport;
  records: ModelRecords;
  request: LoadRequest;
  onProgress: (progress: LoadProgress) => void;
}

/** The GPU memory that is needed at every budget, and the layouts of the experts that share the rest. */
interface MemoryPlan {
  shape: StepShape;
  /** f32[context, ropeDimensionCount / 2, 2] */
  ropeTable: Float32Array<ArrayBuffer>;
  fixedBytes: Bytes;
  layouts: LayerExperts[];
}

/**
 * Puts a stored model on the GPU: dense weights, then everything else within the memory budget. Compiles its kernels.
 * @throws MixtabError `gpu-budget-too-small`, `gpu-out-of-memory`, `gpu-limit`, `record-missing`, `record-damaged`
 */
export async function loadModel(inputs: LoadInputs): Promise<GpuModel> {
  const { device, records, onProgress } = inputs;
  const dense = records.denseRecords();
  const bytesTotal = sumBytes(dense);
  onProgress({ phase: 'dense', bytesDone: 0, bytesTotal });
  const weights = await withAllocations(device, () =>
    loadDenseWeights(device, dense, records.readDense, (bytesDone) => {
      onProgress({ phase: 'dense', bytesDone, bytesTotal });
    }),
  );
  try {
    const gpuModel = await allocateWithinBudget(inputs, weights);
    onProgress({ phase: 'kernels', bytesDone: 0, bytesTotal: 0 });
    const { pipelines } = gpuModel.model.ctx;
    await Promise.all([pipelines.compile(() => planKernels(gpuModel.model)), preloadExperts(inputs, gpuModel)]);
    return gpuModel;
  } catch (error) {
    weights.destroy();
    throw error;
  }
}

/** If an automatic budget turns out to be too large, tries smaller ones. A budget from the request is never changed. */
async function allocateWithinBudget(inputs: LoadInputs, weights: DenseWeights): Promise<GpuModel> {
  const { device, request } = inputs;
  const plan = planMemory(inputs, weights);
  let budgetBytes = request.gpuBudgetBytes ?? (await automaticGpuBudget(inputs, plan, weights.bytes));
  for (;;) {
    try {
      return await withAllocations(device, () => allocate(inputs, plan, weights, budgetBytes));
    } catch (error) {
      const retry = error instanceof MixtabError && error.code === 'gpu-out-of-memory' && !request.gpuBudgetBytes;
      if (!retry) throw error;
      budgetBytes *= BUDGET_RETRY_SHARE; // ends with gpu-budget-too-small at the latest
    }
  }
}

function planMemory({ records, request }: LoadInputs, weights: DenseWeights): MemoryPlan {
  const { config } = records.manifest;
  const context = request.context ?? Math.min(config.contextLength, DEFAULT_CONTEXT);
  const shape = { maxTokens: Math.min(context, MAX_BATCH), context };
  const table = ropeTable(config, context);
  const buffers = stepBufferBytes(config, shape) + prefillBuffersBytes(config, shape);
  const fixedBytes = weights.bytes + table.byteLength + kvCacheBytes(config, context) + buffers;
  return { shape, ropeTable: table, fixedBytes, layouts: records.expertLayouts() };
}

/** @param usedBytes the dense weights, which are on the GPU already; the probe finds memory on top of them */
async function automaticGpuBudget(
  { device, adapter }: LoadInputs,
  { layouts, fixedBytes }: MemoryPlan,
  usedBytes: Bytes,
): Promise<Bytes> {
  const usefulBytes = layouts.reduce((sum, experts) => sum + experts.length * slotBytes(experts), fixedBytes);
  const limit = gpuMemoryToProbe(adapter, deviceMemory(), usefulBytes);
  const probed = usedBytes + (await probeGpuMemory(device, Math.max(0, limit - usedBytes)));
  return gpuBudgetOf(probed, usefulBytes);
}

/** GiB of main memory as the browser reports it, rounded and capped; undefined if it does not. */
const deviceMemory = (): number | undefined => (navigator as { deviceMemory?: number }).deviceMemory;

/** Allocates everything but the dense weights, and nothing if one allocation fails. */
function allocate(inputs: LoadInputs, plan: MemoryPlan, weights: DenseWeights, budgetBytes: Bytes): GpuModel {
  const { fixedBytes, layouts } = plan;
  const { expertCount, expertsPerToken } = inputs.records.manifest.config;
  const pools = planSlots({
    budgetBytes,
    fixedBytes,
    slotBytes: layouts.map((experts) => slotBytes(experts)),
    expertCount,
    expertsPerToken,
  });
  const resources = new Resources();
  try {
    return createGpuModel({ ...inputs, plan, weights, pools, resources });
  } catch (error) {
    resources.destroy();
    throw error;
  }
}

interface CreateInputs extends LoadInputs {
  plan: MemoryPlan;
  weights: DenseWeights;
  pools: readonly PoolPlan[];
  /** Receives everything that is to be destroyed with the model, except the weights. */
  resources: Resources;
}

function createGpuModel({
  device,
  adapter,
  records,
  request,
  plan,
  weights,
  pools,
  resources,
}: CreateInputs): GpuModel {
  const { manifest } = records;
  const { config } = manifest;
  const { context } = plan.shape;
  const memory = resources.own(new GpuSlotMemory(device, plan.layouts, pools, config.expertCount));
  const kvCache = resources.own(new KvCache(device, config, context));
  const buffers = resources.own(createStepBuffers(device, config, plan.shape));
  const prefillBuffers = new PrefillBuffers(device, config);
  const rope = resources.own(upload(device, 'rope table', plan.ropeTable));
  const ramBudgetBytes = request.ramBudgetBytes ?? automaticRamBudget(adapter, deviceMemory());
  const { readExpert, recycle } = records;
  const experts = new ExpertCache({ memory, pools, readExpert, ramBudgetBytes, recycle });
  const publisher = manifest.state === 'importing' ? resources.own(new LikelihoodPublisher(manifest)) : undefined;
  const model: Model = {
    config,
    ctx: {
      pipelines: new PipelineCache(device),
      variant: adapter.software ? 'rows' : 'workgroup',
      state: buffers.state.slice,
    },
    weights,
    kvCache,
    ropeTable: rope.slice,
    buffers,
    prefillBuffers,
    slotTable: memory.slotTable,
    banks: (layer) => memory.banks(layer),
  };
  return {
    manifest,
    model,
    experts,
    ...(publisher && { onRouterLogits: publisher.note }),
    context,
    slots: pools.reduce((sum, { slots }) => sum + slots, 0),
    gpuBytes: () =>
      weights.bytes + memory.bytes + kvCache.bytes + buffers.bytes + prefillBuffers.bytes + rope.slice.size,
    destroy: () => {
      experts.close();
      resources.destroy();
      weights.destroy();
    },
  };
}

/** Things that are destroyed together. */
class Resources {
  readonly #owned: { destroy(): void }[] = [];

  own<T extends { destroy(): void }>(resource: T): T {
    this.#owned.push(resource);
    return resource;
  }

  destroy(): void {
    for (const resource of this.#owned) resource.destroy();
  }
}

/** Fills all slots of a small model, if every expert has one. */
async function preloadExperts(
  { records, onProgress }: LoadInputs,
  { manifest, experts, slots }: GpuModel,
): Promise<void> {
  const { expertCount, layerCount } = manifest.config;
  const bytesTotal = records.expertBytes;
  if (bytesTotal > PRELOAD_BYTES || slots < expertCount * layerCount) return;
  if (manifest.state === 'importing') {
    // A download may take hours, so do not wait for it. The built-in model arrives with the page, and fastest if no
    // single records are requested.
    if (manifest.source !== 'builtin') return;
    await importEnded();
  }
  const all = Array.from({ length: expertCount }, (_, expert) => expertIndex(expert));
  for (let layer = 0; layer < layerCount; layer++) {
    onProgress({ phase: 'experts', bytesDone: (bytesTotal * layer) / layerCount, bytesTotal });
    await experts.loadAll(layerIndex(layer), all);
  }
  experts.resetCounts();
}

function upload(device: GPUDevice, label: string, data: Float32Array<ArrayBuffer>): { slice: Slice; destroy(): void } {
  const buffer = device.createBuffer({
    label,
    size: data.byteLength,
    usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST,
  });
  device.queue.writeBuffer(buffer, 0, data);
  return { slice: whole(buffer), destroy: () => buffer.destroy() };
}
