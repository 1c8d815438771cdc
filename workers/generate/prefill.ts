/**
 * The prompt: layer by layer, all its tokens through one layer before the next, so that an expert is read once
 * however many tokens chose it. Kernels take the tokens in chunks. One small readback a layer tells which experts were
 * chosen; while some compute, the next are read (docs/streaming.md).
 */
import { throwIfAborted } from '../../src/contract/errors.ts';
import {
  type ExpertIndex,
  expertIndex,
  type LayerIndex,
  layerIndex,
  type TokenId,
  tokenId,
} from '../../src/contract/ids.ts';
import { type Dispatch, encodePass, submit } from '../compute/gpu/dispatch.ts';
import type { Activations } from '../compute/gpu/ops/context.ts';
import type { Readback } from '../compute/gpu/readback.ts';
import type { ExpertCache } from '../experts/expert-cache.ts';
import { type ExpertGroup, encodeGroups, groupByExpert } from '../experts/grouping.ts';
import type { OnRouterLogits } from '../experts/likelihood-publisher.ts';
import { attend } from '../model/attention.ts';
import type { StepBuffers } from '../model/buffers.ts';
import { decodeProgram } from '../model/decode-program.ts';
import { embedTokens, outputHead } from '../model/forward.ts';
import type { Model } from '../model/model.ts';
import {
  addAccumulator,
  clearExpertOutputs,
  combineExperts,
  runExperts,
  scoreExperts,
  selectExperts,
} from '../model/moe-layer.ts';
import { abortable } from './abortable.ts';

/** Experts that are uploaded and computed together: few, so that the next ones are read in the meantime. */
const WAVE = 2;
/** With so many tokens nearly every expert of the next layer will be chosen: it is worth reading them ahead. */
const PREFETCH_MIN_TOKENS = 16;

export interface PrefillInputs {
  model: Model;
  experts: ExpertCache;
  readback: Readback;
  /** Tokens to add to the KV cache, at least one; it grows as they need. */
  tokens: readonly TokenId[];
  /** Position of the first of them. */
  position: number;
  /** Called after each layer with the tokens' worth of work that is done; keys and values are complete once all is. */
  onProgress: (tokensDone: number) => void;
  /** Ends the prefill at the next layer, or while it waits for experts. */
  signal: AbortSignal;
  /** Told the experts that each token chose: [tokens, expertsPerToken]. */
  onSelectedExperts?: (layer: LayerIndex, choices: Uint32Array) => void;
  /** Told what the routers find likely, for the tokens that went through the kernels last. */
  onRouterLogits?: OnRouterLogits;
  /**
   * Told what the last layer made of some of the tokens, in order; f32[count, embeddingLength], gone when it resolves.
   */
  onResiduals?: (residual: Activations, first: number, count: number) => Promise<void>;
}

/** Tokens that go through a kernel together. */
interface Chunk {
  tokens: readonly TokenId[];
  /** Place of the first of them among the prompt's. */
  first: number;
  /** Position of the first of them in the KV cache. */
  position: number;
  buffers: StepBuffers;
}

/**
 * Leaves the last token's residual in `buffers.headResidual` and the state ready for the output head.
 * @throws MixtabError `gpu-out-of-memory` where there is no memory for the prompt's rows, `aborted`
 */
export async function prefill(inputs: PrefillInputs): Promise<void> {
  const { model, tokens, position, onProgress, onResiduals } = inputs;
  const { buffers, prefillBuffers, kvCache, ctx } = model;
  const { device } = ctx.pipelines;
  await kvCache.grow(position + tokens.length);
  try {
    const chunks = await chunksOf(model, tokens, position);
    await throughLayers(inputs, chunks);
    for (const chunk of chunks) await onResiduals?.(chunk.buffers.residual, chunk.first, chunk.tokens.length);
    keepLast(model, chunks.at(-1)!);
  } catch (error) {
    inputs.experts.cancel();
    clearExpertOutputs(device, buffers);
    throw error;
  } finally {
    prefillBuffers.release();
  }
  buffers.state.startBatch(1, position + tokens.length - 1);
  onProgress(tokens.length);
}

/** Chunks with their rows: a single one has those of the step. */
async function chunksOf(
  { buffers, prefillBuffers }: Model,
  tokens: readonly TokenId[],
  position: number,
): Promise<Chunk[]> {
  const parts = slicesOf(tokens, buffers.maxTokens);
  const rows = parts.length > 1 ? await prefillBuffers.allocate(parts.map((part) => part.length)) : [];
  return parts.map((part, index) => {
    const first = index * buffers.maxTokens;
    return { tokens: part, first, position: position + first, buffers: { ...buffers, ...rows[index] } };
  });
}

/** All chunks through all layers, which leaves them in their residuals. */
async function throughLayers(inputs: PrefillInputs, chunks: readonly Chunk[]): Promise<void> {
  const { model, readback, signal, tokens, onProgress } = inputs;
  const { config, ctx, buffers } = model;
  const device = ctx.pipelines.device;
  for (const { tokens: part, buffers: own } of chunks) {
    device.queue.writeBuffer(buffers.tokens.buffer, 0, Uint32Array.from(part));
    buffers.state.startBatch(part.length, 0);
    submit(device, embedTokens({ ...model, buffers: own }, part.length));
  }
  for (let l = 0; l < config.layerCount; l++) {
    throwIfAborted(signal);
    if (l > 0) onProgress(Math.floor((tokens.length * l) / config.layerCount));
    const layer = layerIndex(l);
    const last = chunks.at(-1)!;
    for (const chunk of chunks.slice(0, -1)) {
      buffers.state.startBatch(chunk.tokens.length, chunk.position);
      submit(device, attendAndRoute(model, chunk, layer));
    }
    buffers.state.startBatch(last.tokens.length, last.position);
    const wanted = chunks.map((chunk) => ({
      ...chunk.buffers.selectedExperts,
      size: chunk.tokens.length * config.expertsPerToken * 4,
    }));
    const { slice, stride } = buffers.routerLogits;
    if (inputs.onRouterLogits) wanted.push({ ...slice, size: last.tokens.length * stride * 4 });
    const arrived = await readback.submit(encodePass(device, attendAndRoute(model, last, layer)), wanted);
    const selectedExperts = joined(arrived.slice(0, chunks.length));
    for (const rows of arrived.slice(chunks.length)) {
      for (let t = 0; t < last.tokens.length; t++)
        inputs.onRouterLogits?.(layer, new Float32Array(rows, t * stride * 4, config.expertCount));
    }
    inputs.onSelectedExperts?.(layer, selectedExperts);
    await runGroups(inputs, layer, chunks, selectedExperts);
    for (const { tokens: part, buffers: own } of chunks) {
      buffers.state.startBatch(part.length, 0);
      const chunkModel = { ...model, buffers: own };
      const { accumulator } = own;
      submit(
        device,
        accumulator
          ? addAccumulator(chunkModel, layer, part.length, accumulator)
          : combineExperts(chunkModel, layer, part.length),
      );
    }
  }
}

function keepLast({ buffers: { headResidual }, ctx }: Model, { tokens, buffers: { residual } }: Chunk): void {
  const { device } = ctx.pipelines;
  const rowBytes = residual.stride * 4;
  const encoder = device.createCommandEncoder({ label: 'last token' });
  encoder.copyBufferToBuffer(
    residual.slice.buffer,
    residual.slice.offset + (tokens.length - 1) * rowBytes,
    headResidual.slice.buffer,
    0,
    rowBytes,
  );
  device.queue.submit([encoder.finish()]);
}

/**
 * Prompts of these many tokens need all the kernels there are: more take other tilings
 * (workers/compute/gpu/ops/weight-shader.ts).
 */
const PLANNED_PROMPTS = [1, 8];

/** Records what a prompt's first token and the following ones need, for {@link PipelineCache.compile}. */
export function planKernels(model: Model): void {
  const { config } = model;
  outputHead(model, model.buffers.headResidual);
  for (const count of PLANNED_PROMPTS) {
    const { buffers } = model;
    const chunk = { tokens: Array.from({ length: count }, () => tokenId(0)), first: 0, position: 0, buffers };
    embedTokens(model, count);
    for (let l = 0; l < config.layerCount; l++) {
      const layer = layerIndex(l);
      attendAndRoute(model, chunk, layer);
      for (const maxAssignments of PLANNED_PROMPTS) {
        runExperts(model, layer, { groupCount: 1, maxAssignments });
      }
      combineExperts(model, layer, count);
    }
  }
  decodeProgram(model);
}

function attendAndRoute(model: Model, { tokens, buffers }: Chunk, layer: LayerIndex): Dispatch[] {
  const chunkModel = { ...model, buffers };
  const maxTokens = tokens.length;
  return [
    ...attend(chunkModel, layer, maxTokens),
    ...scoreExperts(chunkModel, layer, maxTokens),
    ...selectExperts(chunkModel, layer, {
      maxTokens,
      mode: 'prefill',
      selectedExperts: buffers.selectedExperts,
    }),
  ];
}

/**
 * The chosen experts, each once, in the waves in which they are computed.
 *
 * Where each wave adds to what the waves before it left, the sum must not depend on what happens to be resident. Zero
 * plus two addends is the same either way round, so up to two experts a token may come in any order: resident ones
 * first, then a few at a time as they arrive. Of more, the waves are the same at every budget.
 * @param experts ascending
 * @param accumulating whether waves are added up one by one, not all at the end in order of choice
 */
function wavesOf(
  { model, experts }: PrefillInputs,
  layer: LayerIndex,
  selectedExperts: readonly ExpertIndex[],
  accumulating: boolean,
): ExpertIndex[][] {
  const { expertsPerToken } = model.config;
  if (accumulating && expertsPerToken > 2) return slicesOf(selectedExperts, expertsPerToken); // so many have slots at every budget
  const [resident, missing] = [true, false].map((there) =>
    selectedExperts.filter((expert) => (experts.slotOf(layer, expert) !== undefined) === there),
  );
  const slots = experts.slotCount(layer);
  return [...slicesOf(resident, slots), ...slicesOf(missing, Math.min(WAVE, slots))];
}

/** Runs the chosen experts, wave after wave. */
async function runGroups(
  inputs: PrefillInputs,
  layer: LayerIndex,
  chunks: readonly Chunk[],
  selectedExperts: Uint32Array,
): Promise<void> {
  const { model, experts } = inputs;
  const { queue } = model.ctx.pipelines.device;
  const { layerCount, expertCount, expertsPerToken } = model.config;
  const chosen = groupByExpert(selectedExperts).map(({ expert }) => expert);
  const isResident = (expert: ExpertIndex) => experts.slotOf(layer, expert) !== undefined;
  const waves = wavesOf(inputs, layer, chosen, chunks.length > 1);
  experts.recordAccess(layer, chosen);
  const next = layerIndex(layer + 1);
  const readNextLayer = next < layerCount && selectedExperts.length >= PREFETCH_MIN_TOKENS * expertsPerToken;
  const all = Array.from({ length: expertCount }, (_, expert) => expertIndex(expert));
  const groupsOf = chunks.map(({ first, tokens }) =>
    groupByExpert(selectedExperts.subarray(first * expertsPerToken, (first + tokens.length) * expertsPerToken)),
  );
  // Uploads wait until all but the last wave are done: else a slow GPU would let them pile up in memory.
  let submitted: Promise<unknown>[] = [];
  const ready = async (): Promise<void> => {
    const before = submitted.at(-2);
    if (before) await inputs.readback.waitFor(before);
  };
  for (const [index, wave] of waves.entries()) {
    const ensured = experts.loadAll(layer, wave, ready);
    // Behind what this wave itself has to wait for.
    const following = waves.slice(index + 1).find((later) => later.some((expert) => !isResident(expert)));
    if (following) experts.prefetchRecords(layer, following);
    else if (readNextLayer)
      experts.prefetchRecords(next, all.filter((expert) => experts.slotOf(next, expert) === undefined).slice(0, WAVE));
    await abortable(inputs.signal, ensured);
    for (const [c, chunk] of chunks.entries()) {
      const groups = groupsOf[c].filter(({ expert }) => wave.includes(expert));
      if (groups.length > 0) submitGroups(inputs, layer, chunk, groups);
    }
    submitted = [...submitted.slice(-1), queue.onSubmittedWorkDone()];
  }
  experts.cancelPrefetches(layer);
}

function submitGroups({ model, experts }: PrefillInputs, layer: LayerIndex, chunk: Chunk, groups: ExpertGroup[]): void {
  const { buffers, tokens } = chunk;
  const { device } = model.ctx.pipelines;
  const words = encodeGroups(groups, (expert) => experts.slotOf(layer, expert)!);
  device.queue.writeBuffer(buffers.groups.buffer, 0, words);
  buffers.state.startBatch(tokens.length, chunk.position);
  const chunkModel = { ...model, buffers };
  const maxAssignments = Math.max(...groups.map(({ assignments }) => assignments.length));
  const dispatches = runExperts(chunkModel, layer, { groupCount: groups.length, maxAssignments });
  if (buffers.accumulator) {
    // Another chunk has been here since: the norm's output is its own, and the experts' outputs will be.
    dispatches.unshift(...scoreExperts(chunkModel, layer, tokens.length));
    dispatches.push(...combineExperts(chunkModel, layer, tokens.length));
  }
  submit(device, dispatches);
}

function joined(parts: readonly ArrayBuffer[]): Uint32Array {
  const result = new Uint32Array(parts.reduce((sum, { byteLength }) => sum + byteLength / 4, 0));
  let at = 0;
  for (const part of parts) {
    result.set(new Uint32Array(part), at);
    at += part.byteLength / 4;
  }
  return result;
}

function slicesOf<T>(items: readonly T[], size: number): T[][] {
  const result: T[][] = [];
  for (let at = 0; at < items.length; at += size) result.push(items.slice(at, at + size));
  return result;
}
