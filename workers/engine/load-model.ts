/** Puts a stored model on the GPU: budget, dense weights, slots, KV cache, buffers. */
import type { AdapterReport, LoadProgress, LoadRequest } from '../../src/contract/engine-api.ts';
import { MixtabError } from '../../src/contract/errors.ts';
import { type Bytes, expertIndex, layerIndex } from '../../src/contract/ids.ts';
import { type Slice, whole } from '../compute/gpu/dispatch.ts';
import { withAllocations } from '../compute/gpu/errors.ts';
import { probeGpuMemory } from '../compute/gpu/memory-probe.ts';
import { PipelineCache } from '../compute/gpu/pipelines.ts';
import { ropeTable } from '../compute/gpu/rope-table.ts';
import { automaticRamBudget, gpuBudgetOf, gpuMemoryToProbe } from '../experts/automatic-budget.ts';
import { planSlots } from '../experts/budget.ts';
import { ExpertCache } from '../experts/expert-cache.ts';
import { LikelihoodPublisher } from '../experts/likelihood-publisher.ts';
import { type LayerExperts, SlotMemory, slotBytes } from '../experts/slot-memory.ts';
import { expertKey, isExpertKey, type ModelManifest, type RecordInfo } from '../format/manifest.ts';
import type { GpuModel } from '../generate/loaded-model.ts';
import { planKernels } from '../generate/prefill.ts';
import { createStepBuffers, prefillBuffersBytes, stepBufferBytes } from '../model/buffers.ts';
import type { Model } from '../model/forward.ts';
import { KvCache, kvCacheBytes } from '../model/kv-cache.ts';
import { PrefillBuffers } from '../model/prefill-buffers.ts';
import { type DenseWeights, denseRecords, loadDenseWeights } from '../model/weights.ts';
import type { RecordReader } from '../store/record-reader.ts';
import { importEnded } from '../store/record-requests.ts';

/** Context where the request names none: longer ones cost KV memory that most chats never use. */
const DEFAULT_CONTEXT = 4096;
/** Tokens that go through a kernel together in prefill. */
const MAX_BATCH = 512;
/** Models whose experts take less are put on the GPU whole at load; larger ones fill as they are used. */
const PRELOAD_BYTES: Bytes = 512e6;

export interface LoadInputs {
  device: GPUDevice;
  adapter: AdapterReport;
  reader: RecordReader;
  manifest: ModelManifest;
  request: LoadRequest;
  onProgress: (progress: LoadProgress) => void;
}

/**
 * @throws MixtabError `gpu-budget-too-small`, `gpu-out-of-memory`, `gpu-limit`, `record-missing`, `record-damaged`
 */
export async function loadModel(inputs: LoadInputs): Promise<GpuModel> {
  const { device, manifest, reader, onProgress } = inputs;
  const records = denseRecords(manifest.records, manifest.config.layerCount);
  const denseBytes = sumBytes(records);
  onProgress({ phase: 'dense', bytesDone: 0, bytesTotal: denseBytes });
  const read = (record: RecordInfo) => reader.read(manifest.id, record);
  const weights = await withAllocations(device, () =>
    loadDenseWeights(device, records, read, (bytesDone) => {
      onProgress({ phase: 'dense', bytesDone, bytesTotal: denseBytes });
    }),
  );
  try {
    const gpuModel = await allocateWithinBudget(inputs, weights);
    onProgress({ phase: 'kernels', bytesDone: 0, bytesTotal: 0 });
    const { pipelines } = gpuModel.model.ctx;
    await Promise.all([pipelines.compile(() => planKernels(gpuModel.model)), preloadExperts(gpuModel, onProgress)]);
    return gpuModel;
  } catch (error) {
    weights.destroy();
    throw error;
  }
}

/** An automatic budget that proves too large all the same is lowered step by step; one that was asked for is not. */
async function allocateWithinBudget(inputs: LoadInputs, weights: DenseWeights): Promise<GpuModel> {
  const { device, request } = inputs;
  let budgetBytes = request.gpuBudgetBytes ?? (await automaticGpuBudget(inputs, weights));
  for (;;) {
    try {
      return await withAllocations(device, () => allocate(inputs, weights, budgetBytes));
    } catch (error) {
      const retry = error instanceof MixtabError && error.code === 'gpu-out-of-memory' && !request.gpuBudgetBytes;
      if (!retry) throw error;
      budgetBytes *= 0.75; // ends with gpu-budget-too-small at the latest
    }
  }
}

/** The dense weights are on the GPU already: what the probe finds comes on top of them. */
async function automaticGpuBudget(inputs: LoadInputs, weights: DenseWeights): Promise<Bytes> {
  const { device, adapter } = inputs;
  const { layouts, fixedBytes } = memoryPlan(inputs, weights);
  const wanted = layouts.reduce((sum, experts) => sum + experts.length * slotBytes(experts), fixedBytes);
  const most = gpuMemoryToProbe(adapter, deviceMemory(), wanted);
  const probed = weights.bytes + (await probeGpuMemory(device, Math.max(0, most - weights.bytes)));
  return gpuBudgetOf(probed, wanted);
}

/** GiB of main memory as the browser tells it, rounded and capped; undefined where it does not. */
const deviceMemory = (): number | undefined => (navigator as { deviceMemory?: number }).deviceMemory;

/** What is needed whatever the slots, and what would fill them. */
function memoryPlan({ manifest, request }: LoadInputs, weights: DenseWeights) {
  const { config } = manifest;
  const context = request.context ?? Math.min(config.contextLength, DEFAULT_CONTEXT);
  const shape = { maxTokens: Math.min(context, MAX_BATCH), context };
  const table = ropeTable(config, context);
  const buffers = stepBufferBytes(config, shape) + prefillBuffersBytes(config, shape);
  const fixedBytes = weights.bytes + table.byteLength + kvCacheBytes(config, context) + buffers;
  return { shape, table, fixedBytes, layouts: expertLayouts(manifest) };
}

function allocate(inputs: LoadInputs, weights: DenseWeights, budgetBytes: Bytes): GpuModel {
  const { device, adapter, manifest, request, reader } = inputs;
  const { config } = manifest;
  const { shape, table, fixedBytes, layouts } = memoryPlan(inputs, weights);
  const { context } = shape;
  const { expertCount, expertsPerToken } = config;
  const slots = layouts.map((experts) => slotBytes(experts));
  const pools = planSlots({ budgetBytes, fixedBytes, slotBytes: slots, expertCount, expertsPerToken });

  const owned: { destroy(): void }[] = [];
  const own = <T extends { destroy(): void }>(part: T): T => {
    owned.push(part);
    return part;
  };
  const destroyOwned = () => {
    for (const part of owned) part.destroy();
  };
  try {
    const memory = own(new SlotMemory(device, layouts, pools, expertCount));
    const kvCache = own(new KvCache(device, config, context));
    const buffers = own(createStepBuffers(device, config, shape));
    const prefillBuffers = new PrefillBuffers(device, config);
    const ropeSlice = own(upload(device, 'rope table', table));
    const recordOf = new Map(manifest.records.map((record) => [record.key, record]));
    const experts = new ExpertCache({
      memory,
      pools,
      readExpert: (layer, expert, signal) => reader.read(manifest.id, recordOf.get(expertKey(layer, expert))!, signal),
      ramBudgetBytes: request.ramBudgetBytes ?? automaticRamBudget(adapter, deviceMemory()),
      recycle: (record) => reader.recycle?.(record),
    });
    const likelihoodPublisher = manifest.state === 'importing' ? own(new LikelihoodPublisher(manifest)) : undefined;
    const model: Model = {
      config,
      ctx: {
        pipelines: new PipelineCache(device),
        variant: adapter.software ? 'rows' : 'workgroup',
        state: buffers.state.slice,
      },
      weights,
      kvCache,
      ropeTable: ropeSlice.slice,
      buffers,
      prefillBuffers,
      slotTable: memory.slotTable,
      banks: (layer) => memory.banks(layer),
    };
    return {
      manifest,
      model,
      experts,
      ...(likelihoodPublisher && { onRouterLogits: likelihoodPublisher.note }),
      context,
      slots: pools.reduce((sum, { slots }) => sum + slots, 0),
      gpuBytes: () =>
        weights.bytes + memory.bytes + kvCache.bytes + buffers.bytes + prefillBuffers.bytes + table.byteLength,
      destroy: () => {
        experts.close();
        destroyOwned();
        weights.destroy();
      },
    };
  } catch (error) {
    destroyOwned();
    throw error;
  }
}

function expertLayouts({ config, records }: ModelManifest): LayerExperts[] {
  const byKey = new Map(records.map((record) => [record.key, record]));
  return Array.from({ length: config.layerCount }, (_, layer) =>
    Array.from({ length: config.expertCount }, (_, expert) => {
      const [gate, up, down] = byKey.get(expertKey(layer, expert))?.tensors ?? [];
      if (gate && up && down) return { gate, up, down };
      throw new MixtabError(
        'record-missing',
        `The stored model has no record for expert ${expert} of layer ${layer}.`,
        'Import it again.',
      );
    }),
  );
}

/** Fills the slots at once where all experts have one and they are few bytes. */
async function preloadExperts(
  { manifest, experts, slots }: GpuModel,
  onProgress: LoadInputs['onProgress'],
): Promise<void> {
  const { expertCount, layerCount } = manifest.config;
  const bytesTotal = sumBytes(manifest.records.filter(({ key }) => isExpertKey(key)));
  if (bytesTotal > PRELOAD_BYTES || slots < expertCount * layerCount) return;
  if (manifest.state === 'importing') {
    // Of a download that may take hours nothing is awaited; the built-in model comes with the page, fastest where nobody asks for parts of it.
    if (manifest.source !== 'builtin') return;
    await importEnded();
  }
  for (let layer = 0; layer < layerCount; layer++) {
    onProgress({ phase: 'experts', bytesDone: (bytesTotal * layer) / layerCount, bytesTotal });
    await experts.loadAll(
      layerIndex(layer),
      Array.from({ length: expertCount }, (_, expert) => expertIndex(expert)),
    );
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

const sumBytes = (records: readonly RecordInfo[]): Bytes => records.reduce((sum, { bytes }) => sum + bytes, 0);
