/** Puts a stored model on the GPU: dense weights, memory budget, slots, KV cache, step buffers, kernels. */
import type { MixtabError } from '../../../src/contract/errors.ts';
import type { Bytes } from '../../../src/contract/ids.ts';
import { type PoolPlan, planSlots, type SlotBudget, smallestBudget } from '../../experts/budget.ts';
import { ExpertCache } from '../../experts/expert-cache.ts';
import { LikelihoodPublisher } from '../../experts/likelihood-publisher.ts';
import { type Compute, kvCacheBytes } from '../compute.ts';
import { contextOf, type LoadInputs, preloadExperts } from '../loading.ts';
import { type LayerExperts, sumBytes } from '../model-records.ts';
import { ropeTable, ropeTableBytes } from '../rope-table.ts';
import { watched } from '../watched.ts';
import { type Slice, whole } from './dispatch.ts';
import { isOutOfMemory, withAllocations } from './errors.ts';
import { freeDestroyed } from './free-destroyed.ts';
import {
  automaticGpuBudget,
  checkHeld,
  type KnownMemory,
  knownMemory,
  rememberLoad,
  rememberLostLoad,
} from './gpu-budget.ts';
import { GpuCompute } from './gpu-compute.ts';
import type { GpuModel } from './gpu-model.ts';
import { assumeWorkRate } from './measure-work-rate.ts';
import { createStepBuffers, prefillBuffersBytes, type StepShape, stepBufferBytes } from './model/buffers.ts';
import { KvCache } from './model/kv-cache.ts';
import type { Model } from './model/model.ts';
import { PrefillBuffers } from './model/prefill-buffers.ts';
import { type DenseWeights, loadDenseWeights } from './model/weights.ts';
import type { Gpu } from './open-gpu.ts';
import { planKernels } from './plan-kernels.ts';
import { noteRamUse, ramBudget } from './ram-budget.ts';
import { checkKernels } from './self-test/check-kernels.ts';
import { GpuSlotMemory, slotBytes } from './slot-memory.ts';
import { openUploads } from './uploads/choose-uploads.ts';
import { stagedReads } from './uploads/staged-reads.ts';
import type { Uploads } from './uploads/upload-piece.ts';
import { chooseKernels } from './variants/choose-kernels.ts';
import { type KernelChoice, kernelAdapter } from './variants/kernel-variants.ts';
import { wrongValues } from './wrong-values.ts';

/** Tokens of a prompt that go through a kernel together. */
const MAX_BATCH = 512;
/** What remains of an automatic GPU budget that turned out to be too large. */
const BUDGET_RETRY_SHARE = 0.75;

export interface GpuLoadInputs extends LoadInputs {
  gpu: Gpu;
}

/** The GPU memory that is needed at every budget, and the layouts of the experts that share the rest. */
export interface MemoryPlan {
  shape: StepShape;
  fixedBytes: Bytes;
  layouts: LayerExperts[];
}

/**
 * Puts a stored model on the GPU: dense weights, then everything else within the memory budget. Compiles its kernels.
 * @throws MixtabError `gpu-budget-too-small`, `gpu-out-of-memory`, `gpu-limit`, `webgpu-device-lost`, `gpu-wrong-values`,
 * `record-missing`, `record-damaged`
 */
export async function loadGpuCompute(inputs: GpuLoadInputs): Promise<Compute> {
  const { gpu } = inputs;
  await freeDestroyed(gpu.device); // the model before this one
  let loaded: GpuModel | undefined;
  try {
    const gpuModel = await watched(
      () => gpu.health.failure,
      async () => {
        loaded = await loadGpuModel(inputs);
        return loaded;
      },
    );
    return new GpuCompute(gpu, gpuModel);
  } catch (error) {
    loaded?.destroy(); // WebGPU reports no errors of a device that was lost meanwhile
    if (gpu.health.failed) gpu.device.destroy();
    throw error;
  }
}

/**
 * Loads everything, and frees all of it if one step fails.
 * @throws MixtabError as {@link loadGpuCompute}
 */
export async function loadGpuModel(inputs: GpuLoadInputs): Promise<GpuModel> {
  const owned = new Resources();
  const attempt: Attempt = {};
  const endWatch = rememberFailure(inputs.gpu, attempt);
  try {
    const uploads = owned.own(await openUploads(inputs.gpu, inputs.records));
    const weights = owned.own(await loadWeights(inputs, uploads));
    const known = await knownMemory(inputs.gpu);
    const gpuModel = owned.own(await allocateWithinBudget({ ...inputs, uploads, weights }, known, attempt));
    await rememberLoad(inputs.gpu); // from here on, a closed tab says nothing about the memory
    inputs.onProgress({ phase: 'kernels', bytesDone: 0, bytesTotal: 0 });
    const { experts, slots, automaticRamBudget } = gpuModel;
    if (automaticRamBudget) owned.own(await noteRamUse(inputs.gpu, automaticRamBudget));
    await assumeWorkRate(inputs.gpu, gpuModel.model);
    const model = await withRightKernels(inputs.gpu, gpuModel.model);
    await Promise.all([model.ctx.pipelines.compile(() => planKernels(model)), preloadExperts(inputs, experts, slots)]);
    await rememberLoad(inputs.gpu, gpuModel.automaticBudget);
    return { ...gpuModel, model, destroy: () => owned.destroy() };
  } catch (error) {
    owned.destroy();
    // The promises of a lost device are rejected before `device.lost` settles, so wait for that.
    await new Promise((resolve) => setTimeout(resolve));
    if (!inputs.gpu.health.failed) {
      await freeDestroyed(inputs.gpu.device);
      await rememberLoad(inputs.gpu);
    }
    throw error;
  } finally {
    endWatch();
  }
}

/** What a load has tried so far. */
interface Attempt {
  /** Undefined if the user has set the budget, or none was chosen yet. */
  automaticBudget?: Bytes;
}

/**
 * If the GPU fails while a model is loaded, the next load uses less of it. What runs at that moment may never end, so
 * the failure itself is awaited.
 * @returns ends the watch
 */
function rememberFailure(gpu: Gpu, attempt: Attempt): () => void {
  const { signal } = gpu.health;
  const onFailure = (): void => {
    const isFault = (signal.reason as MixtabError).code === 'internal'; // of mixtab
    void (isFault ? rememberLoad(gpu) : rememberLostLoad(gpu, attempt.automaticBudget));
  };
  signal.addEventListener('abort', onFailure);
  return () => signal.removeEventListener('abort', onFailure);
}

/**
 * The model with the fastest kernel variants that compute right values on this adapter. A family whose measured variant
 * is wrong gets its standard one, and all are checked again.
 * @throws MixtabError `gpu-wrong-values` if a standard one is wrong
 */
async function withRightKernels(gpu: Gpu, model: Model): Promise<Model> {
  const standard = model.ctx.kernels;
  let right = withKernels(model, await chosenKernels(gpu, model));
  for (;;) {
    const wrong = await checkKernels(gpu, right);
    if (!wrong) return right;
    const { name, family } = wrong;
    const { kernels } = right.ctx;
    if (!family || kernels[family] === standard[family]) throw wrongValues(name);
    console.warn(`${wrongValues(name).message} ${standard[family]} is used instead of ${kernels[family]}.`);
    right = withKernels(model, { ...kernels, [family]: standard[family] });
  }
}

const withKernels = (model: Model, kernels: KernelChoice): Model => ({ ...model, ctx: { ...model.ctx, kernels } });

/** The kernel variants that are the fastest on this adapter. */
async function chosenKernels(gpu: Gpu, model: Model): Promise<KernelChoice> {
  const { device, adapter, kernels, measureKernels, memory, clockStepMs } = gpu;
  if (!measureKernels) return model.ctx.kernels;
  return chooseKernels({ kernels, model, memory, clockStepMs, adapter: kernelAdapter(device, adapter.software) });
}

/** Loads the dense weights. If there is no memory for them and for what uploads records, that goes without. */
async function loadWeights(inputs: GpuLoadInputs, uploads: Uploads): Promise<DenseWeights> {
  try {
    return await loadWeightsBeside(inputs, uploads);
  } catch (error) {
    if (!isOutOfMemory(error) || uploads.bytes === 0) throw error;
    uploads.destroy();
    await freeDestroyed(inputs.gpu.device);
    return await loadWeightsBeside(inputs, uploads);
  }
}

function loadWeightsBeside(
  { gpu: { device }, records, onProgress }: GpuLoadInputs,
  uploads: Uploads,
): Promise<DenseWeights> {
  const dense = records.denseRecords();
  const bytesTotal = sumBytes(dense);
  onProgress({ phase: 'dense', bytesDone: 0, bytesTotal });
  return withAllocations(
    device,
    () =>
      loadDenseWeights(device, dense, {
        read: records.readDense,
        uploads,
        onProgress: (bytesDone) => onProgress({ phase: 'dense', bytesDone, bytesTotal }),
      }),
    (weights) => weights.destroy(),
  );
}

/** The inputs of a load, and what it has put on the GPU before it divides the rest. */
interface HeldInputs extends GpuLoadInputs {
  weights: DenseWeights;
  uploads: Uploads;
}

/**
 * If an automatic budget turns out to be too large, tries smaller ones, at last the smallest one that the model needs.
 * A budget from the request is never changed. A budget with no room for what uploads records goes without it.
 * @throws MixtabError `gpu-out-of-memory`, or `gpu-budget-too-small` for the first budget
 */
async function allocateWithinBudget(inputs: HeldInputs, known: KnownMemory, attempt: Attempt): Promise<GpuModel> {
  const { gpu, request, weights, uploads } = inputs;
  const automatic = request.gpuBudgetBytes === undefined;
  const planNow = (): MemoryPlan => planMemory(inputs, weights.bytes + uploads.bytes, known.limits.batch);
  let plan = planNow();
  const ramBudgetBytes = await ramBudget(gpu, known.adapter, request.ramBudgetBytes);
  const leastBytes = smallestBudget(slotBudgetOf(inputs, plan)) - uploads.bytes;
  const usedBytes = weights.bytes + uploads.bytes;
  const budgetInputs = { gpu, known, wanted: wantedBytes(plan), usedBytes, leastBytes };
  let budgetBytes = request.gpuBudgetBytes ?? (await automaticGpuBudget(budgetInputs));
  for (;;) {
    if (budgetBytes < leastBytes + uploads.bytes) {
      uploads.destroy();
      await freeDestroyed(gpu.device);
      plan = planNow();
    }
    const smaller = budgetBytes * BUDGET_RETRY_SHARE;
    // Memory that is slow to use all at once is still better than none.
    const timed = automatic && smaller >= leastBytes;
    if (automatic) attempt.automaticBudget = budgetBytes;
    try {
      return await withAllocations(
        gpu.device,
        () => allocateChecked({ ...inputs, plan, ramBudgetBytes }, budgetBytes, timed),
        (gpuModel) => gpuModel.destroy(),
      );
    } catch (error) {
      if (!isOutOfMemory(error) || !automatic || budgetBytes <= leastBytes) throw error;
      await freeDestroyed(gpu.device);
      budgetBytes = Math.max(smaller, leastBytes);
    }
  }
}

/**
 * @param heldBytes of the dense weights, and of what uploads them
 * @param maxBatch tokens that may go through a kernel together
 */
export function planMemory(
  inputs: Pick<GpuLoadInputs, 'gpu' | 'records' | 'request'>,
  heldBytes: Bytes,
  maxBatch = MAX_BATCH,
): MemoryPlan {
  const { records, gpu } = inputs;
  const { config } = records.manifest;
  const context = contextOf(inputs);
  const maxTokens = Math.min(context, MAX_BATCH, maxBatch);
  const shape = { maxTokens, context, kernels: gpu.kernels };
  const buffers = stepBufferBytes(config, shape) + prefillBuffersBytes(config, { maxTokens, context });
  const fixedBytes = heldBytes + ropeTableBytes(config, context) + kvCacheBytes(config, context) + buffers;
  return { shape, fixedBytes, layouts: records.expertLayouts() };
}

/** Bytes of the model with every expert resident. */
const wantedBytes = ({ layouts, fixedBytes }: MemoryPlan): Bytes =>
  layouts.reduce((sum, experts) => sum + experts.length * slotBytes(experts), fixedBytes);

function slotBudgetOf({ records, request }: GpuLoadInputs, { fixedBytes, layouts }: MemoryPlan): SlotBudget {
  const { expertCount, expertsPerToken } = records.manifest.config;
  return {
    memory: 'gpu',
    budgetBytes: 0,
    automatic: request.gpuBudgetBytes === undefined,
    fixedBytes,
    slotBytes: layouts.map((experts) => slotBytes(experts)),
    expertCount,
    expertsPerToken,
  };
}

type AllocateInputs = Omit<CreateInputs, 'pools' | 'resources'>;

/**
 * Allocates everything but the dense weights, which stay with their owner, and checks that the GPU holds all of it
 * together with them. Frees what it has allocated if it throws.
 * @param timed see {@link checkHeld}
 */
async function allocateChecked(inputs: AllocateInputs, budgetBytes: Bytes, timed: boolean): Promise<GpuModel> {
  const gpuModel = allocate(inputs, budgetBytes);
  try {
    await checkHeld(inputs.gpu, [...inputs.weights.buffers, ...gpuModel.buffers], timed);
    return gpuModel;
  } catch (error) {
    gpuModel.destroy();
    throw error;
  }
}

function allocate(inputs: AllocateInputs, budgetBytes: Bytes): GpuModel {
  const pools = planSlots({ ...slotBudgetOf(inputs, inputs.plan), budgetBytes });
  const resources = new Resources();
  try {
    const gpuModel = createGpuModel({ ...inputs, pools, resources });
    return inputs.request.gpuBudgetBytes === undefined ? { ...gpuModel, automaticBudget: budgetBytes } : gpuModel;
  } catch (error) {
    resources.destroy();
    throw error;
  }
}

interface CreateInputs extends HeldInputs {
  plan: MemoryPlan;
  ramBudgetBytes: Bytes;
  pools: readonly PoolPlan[];
  /** Receives everything that is to be destroyed with the model, except the weights. */
  resources: Resources;
}

/** If every expert has a slot, main memory keeps none: they would only be copies. */
function usedRamBudget({ records, pools, ramBudgetBytes }: CreateInputs): Bytes {
  const { expertCount } = records.manifest.config;
  return pools.every(({ layers, slots }) => slots === layers.length * expertCount) ? 0 : ramBudgetBytes;
}

function createGpuModel(inputs: CreateInputs): GpuModel {
  const { gpu, records, plan, weights, uploads, pools, resources } = inputs;
  const { device, pipelines, kernels, variant, pacing } = gpu;
  const { manifest, recycle } = records;
  const readExpert = stagedReads(records, uploads);
  const { config } = manifest;
  const { context } = plan.shape;
  const memory = resources.own(new GpuSlotMemory(device, plan.layouts, pools, config.expertCount, uploads));
  const kvCache = resources.own(new KvCache(device, config, context));
  const buffers = resources.own(createStepBuffers(device, config, plan.shape));
  const prefillBuffers = new PrefillBuffers(device, config);
  const rope = resources.own(upload(device, 'rope table', ropeTable(config, context)));
  const { expertsPerToken } = config;
  const ramBudgetBytes = usedRamBudget(inputs);
  const experts = new ExpertCache({ memory, pools, expertsPerToken, readExpert, ramBudgetBytes, recycle });
  const publisher = manifest.state === 'importing' ? resources.own(new LikelihoodPublisher(manifest)) : undefined;
  const model: Model = {
    config,
    ctx: {
      pipelines,
      variant,
      kernels,
      state: buffers.state.slice,
      pacing,
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
    model,
    experts,
    ...(publisher && { onRouterLogits: publisher.note }),
    context,
    slots: pools.reduce((sum, { slots }) => sum + slots, 0),
    ...(inputs.request.ramBudgetBytes === undefined && { automaticRamBudget: ramBudgetBytes }),
    buffers: [...memory.buffers, ...kvCache.layers.flatMap(({ keys, values }) => [keys.buffer, values.buffer])],
    gpuBytes: () =>
      weights.bytes +
      uploads.bytes +
      memory.bytes +
      kvCache.bytes +
      buffers.bytes +
      prefillBuffers.bytes +
      rope.slice.size,
    destroy: () => {
      experts.close();
      resources.destroy();
    },
  };
}

/** Things that are destroyed together, the newest first. */
class Resources {
  readonly #owned: { destroy(): void }[] = [];

  own<T extends { destroy(): void }>(resource: T): T {
    this.#owned.push(resource);
    return resource;
  }

  destroy(): void {
    for (const resource of this.#owned.splice(0).reverse()) resource.destroy();
  }
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
