/** The whole engine on a synthetic model: loading, prompts, decoding, and where the time of a token goes. */
import type { LoadRequest } from '../../../src/contract/engine-api.ts';
import { expertIndex, type LayerIndex, layerIndex, type TokenId, tokenId } from '../../../src/contract/ids.ts';
import type { Compute, SamplerStart } from '../../compute/compute.ts';
import { GpuCompute } from '../../compute/gpu/gpu-compute.ts';
import type { GpuModel } from '../../compute/gpu/gpu-model.ts';
import { loadGpuModel, planMemory } from '../../compute/gpu/load-gpu-model.ts';
import { decodeProgram } from '../../compute/gpu/model/decode-program.ts';
import { STEP_STATE_OFFSETS } from '../../compute/gpu/step-state.ts';
import { openUploads } from '../../compute/gpu/uploads/choose-uploads.ts';
import { type ModelRecords, sumBytes } from '../../compute/model-records.ts';
import { kernelsText, type Measurement, shareOf } from '../measurement.ts';
import { CHAT_SAMPLING } from '../operations.ts';
import { syntheticRecords } from '../synthetic-model.ts';
import { idle } from '../timing.ts';
import { profileToken } from './profile.ts';

/** Positions besides prompt and answer. */
const SPARE_POSITIONS = 16;

interface LoadedEngine {
  records: ModelRecords;
  model: GpuModel;
  compute: Compute;
}

/** Loads the model with as many experts as fit, and measures it from the first upload to a long context. */
export async function measureEngine(measurement: Measurement): Promise<void> {
  const { gpuBudgetBytes } = measurement.options;
  await withEngine(measurement, gpuBudgetBytes, async (engine) => {
    const { compute, records, model } = engine;
    const ceilings = ceilingsOf(measurement, records);
    const { layerCount, expertCount } = compute.config;
    measurement.add({ name: 'layers', value: layerCount, unit: '' });
    measurement.add({ name: 'resident experts', value: compute.slots / (layerCount * expertCount), unit: 'of all' });
    measurement.add({ name: 'GPU memory', value: compute.memory().gpuBytes / 1e9, unit: 'GB' });
    measurement.add({ name: 'weights of a token', value: tokenWeights(records).bytes / 1e9, unit: 'GB' });
    measurement.add({ name: 'kernels', value: 1, unit: '', text: kernelsText(model.model.ctx.kernels) });
    await loadExperts(measurement, engine);
    await prompt(measurement, compute, measurement.shapes.prompt, ceilings);
    await decode(measurement, compute, 'greedy', { temperature: 0 }, ceilings);
    await decode(measurement, compute, 'default chat', CHAT_SAMPLING, ceilings);
    await stalledToken(measurement, engine);
    await profileToken(measurement, model);
    await prompt(measurement, compute, measurement.shapes.longPrompt, ceilings);
    await decode(measurement, compute, `greedy at ${measurement.shapes.longPrompt}`, { temperature: 0 }, ceilings);
  });
}

/** The same model in a budget that holds a part of its experts. Reading costs nothing, so this shows the rest. */
export async function measureTightBudget(measurement: Measurement): Promise<void> {
  const { shapes } = measurement;
  const records = await syntheticRecords(shapes.model);
  const denseBytes = sumBytes(records.manifest.records) - records.expertBytes;
  const { gpu } = measurement;
  const uploads = await openUploads(gpu, records);
  uploads.destroy();
  const way = uploads.bytes > 0 ? 'ring' : 'write';
  measurement.add({ name: 'uploads', value: 1, unit: '', text: way });
  const { fixedBytes } = planMemory({ gpu, records, request: requestOf(measurement) }, denseBytes + uploads.bytes);
  await withEngine(measurement, fixedBytes + records.expertBytes * shapes.tightShare, async ({ compute }) => {
    const { layerCount, expertCount } = compute.config;
    measurement.add({ name: 'resident experts', value: compute.slots / (layerCount * expertCount), unit: 'of all' });
    await prompt(measurement, compute, Math.min(shapes.prompt, 64));
    compute.experts.resetCounts();
    const tokens = await decode(measurement, compute, 'greedy', { temperature: 0 });
    const { hits, misses, bytesRead } = compute.experts.report();
    measurement.add({ name: 'hits', value: hits / Math.max(1, hits + misses), unit: 'of all uses' });
    measurement.add({ name: 'uploads per token', value: bytesRead / 1e6 / Math.max(1, tokens), unit: 'MB' });
  });
}

/** Room for the long prompt and two answers. Nothing in main memory, because reading costs nothing. */
const requestOf = ({ shapes }: Measurement): LoadRequest => ({
  modelId: 'synthetic',
  context: shapes.longPrompt + 2 * shapes.generated + SPARE_POSITIONS,
  ramBudgetBytes: 0,
});

async function withEngine(
  measurement: Measurement,
  gpuBudgetBytes: number | undefined,
  work: (engine: LoadedEngine) => Promise<void>,
): Promise<void> {
  const { gpu, shapes } = measurement;
  const records = await syntheticRecords(shapes.model);
  const start = performance.now();
  const model = await loadGpuModel({
    gpu,
    records,
    request: { ...requestOf(measurement), ...(gpuBudgetBytes !== undefined && { gpuBudgetBytes }) },
    onProgress: () => {},
  });
  const compute = new GpuCompute(gpu, model);
  try {
    measurement.add({ name: 'load', value: (performance.now() - start) / 1000, unit: 's' });
    await work({ records, model, compute });
  } finally {
    compute.destroy();
  }
}

/**
 * The weights that one token uses: everything but the embedding, and its experts. `inLayers` is their number without the
 * output matrix, which only the last token of a prompt passes.
 */
function tokenWeights({ manifest }: ModelRecords): { bytes: number; inLayers: number } {
  const { expertCount, expertsPerToken } = manifest.config;
  const sums = { bytes: 0, inLayers: 0 };
  for (const { key, bytes, tensors } of manifest.records) {
    if (key.startsWith('embedding')) continue;
    const share = /\.E\d+$/.test(key) ? expertsPerToken / expertCount : 1;
    sums.bytes += share * bytes;
    const matrices = tensors.filter(({ name }) => name !== 'output');
    sums.inLayers += share * matrices.reduce((sum, { rows, cols }) => sum + rows * cols, 0);
  }
  return sums;
}

/** Tokens per second that the ceilings allow; undefined without ceilings. */
interface TokenCeilings {
  /** If a prompt's matrices reached the f32 rate. */
  prompt: number | undefined;
  /** If a token read its weights at the read bandwidth. */
  decode: number | undefined;
}

function ceilingsOf({ flops, bytesPerSecond }: Measurement, records: ModelRecords): TokenCeilings {
  const { bytes, inLayers } = tokenWeights(records);
  return { prompt: flops && flops / (2 * inLayers), decode: bytesPerSecond && bytesPerSecond / bytes };
}

/** Fills every slot. */
async function loadExperts(measurement: Measurement, { compute, records }: LoadedEngine): Promise<void> {
  const { experts, config } = compute;
  const start = performance.now();
  let loaded = 0;
  for (let l = 0; l < config.layerCount && !measurement.isOver; l++) {
    const layer: LayerIndex = layerIndex(l);
    const count = Math.min(config.expertCount, experts.slotCount(layer));
    const fitting = Array.from({ length: count }, (_, expert) => expertIndex(expert));
    loaded += fitting.length;
    await experts.loadAll(layer, fitting, async () => void (await idle(measurement.device)));
  }
  await idle(measurement.device);
  const expertBytes = records.expertBytes / (config.layerCount * config.expertCount);
  const seconds = (performance.now() - start) / 1000;
  measurement.add({ name: 'upload of experts', value: (loaded * expertBytes) / 1e9 / seconds, unit: 'GB/s' });
}

/** A prompt of random tokens from position 0 on. */
async function prompt(
  measurement: Measurement,
  compute: Compute,
  tokenCount: number,
  ceilings?: TokenCeilings,
): Promise<void> {
  if (measurement.isOver) return;
  const { vocabularySize } = compute.config;
  const tokens: TokenId[] = Array.from({ length: tokenCount }, (_, i) =>
    tokenId(3 + ((i * 7919 + 13) % (vocabularySize - 3))),
  );
  const start = performance.now();
  await compute.prefill({ tokens, position: 0, onProgress: () => {}, signal: new AbortController().signal });
  await idle(measurement.device);
  const seconds = (performance.now() - start) / 1000;
  const value = tokenCount / seconds;
  const share = shareOf(value, ceilings?.prompt);
  measurement.add({ name: `prompt of ${tokenCount}`, value, unit: 'tokens/s', ...share });
  positions.set(compute, tokenCount);
}

/** Tokens in the KV cache of each engine. */
const positions = new WeakMap<Compute, number>();

/** Decodes behind the last prompt. @returns how many tokens */
async function decode(
  measurement: Measurement,
  compute: Compute,
  name: string,
  options: SamplerStart['options'],
  ceilings?: TokenCeilings,
): Promise<number> {
  if (measurement.isOver) return 0;
  const { vocabularySize } = compute.config;
  const { generated } = measurement.shapes;
  compute.setRouterOptions({});
  compute.startSampling({
    options,
    seed: 1,
    step: 0,
    topCount: 0,
    counts: new Uint32Array(vocabularySize),
    bias: new Float32Array(vocabularySize),
    allowed: undefined,
  });
  await compute.sampleFirst();
  const decoder = compute.startDecoding(positions.get(compute) ?? 0, new AbortController().signal);
  const start = performance.now();
  let tokens = 0;
  while (tokens < generated && !measurement.isOver) await decoder.nextToken(generated - ++tokens);
  await decoder.drain();
  const seconds = (performance.now() - start) / 1000;
  positions.set(compute, (positions.get(compute) ?? 0) + tokens);
  const share = shareOf(tokens / seconds, ceilings?.decode);
  measurement.add({ name: `decode, ${name}`, value: tokens / seconds, unit: 'tokens/s', ...share });
  return tokens;
}

/** A token whose kernels all return at once: what dispatches cost without any arithmetic. */
async function stalledToken(measurement: Measurement, { model: { model } }: LoadedEngine): Promise<void> {
  if (measurement.isOver) return;
  const { whole } = decodeProgram(model);
  const { slice } = model.buffers.state;
  measurement.add({ name: 'dispatches per token', value: whole.length, unit: '' });
  measurement.device.queue.writeBuffer(
    slice.buffer,
    slice.offset + STEP_STATE_OFFSETS.stalled * 4,
    new Uint32Array([1]),
  );
  const idleCalls = whole.map(({ cost: _, ...dispatch }) => dispatch); // nothing is computed, so nothing is to be cut
  measurement.add({ name: 'stalled token', value: await measurement.time([idleCalls]), unit: 'ms' });
  model.buffers.state.clearStall();
}
