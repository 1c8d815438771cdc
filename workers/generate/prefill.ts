/**
 * The prompt: layer by layer, all its tokens through one layer before the next, so that an expert is read once
 * however many tokens chose it; in stretches where there is no memory for the rows of all. Kernels take the tokens in
 * chunks. One small readback a layer tells which experts were chosen; while some compute, the next are read
 * (docs/streaming.md).
 */
import { MixtabError } from '../../src/contract/errors.ts';
import { type ExpertIndex, expertIndex, type LayerIndex, layerIndex, type TokenId, tokenId } from '../../src/contract/ids.ts';
import { planStretches } from '../experts/budget.ts';
import type { ExpertCache } from '../experts/expert-cache.ts';
import type { OnRouterLogits } from '../experts/forecast.ts';
import { encodeGroups, type ExpertGroup, groupByExpert } from '../experts/grouping.ts';
import { type Dispatch, encode, type Slice } from '../gpu/dispatch.ts';
import type { Readback } from '../gpu/readback.ts';
import { STATE } from '../gpu/step-state.ts';
import { chunkOf, type PromptBuffers, type StepBuffers } from '../model/buffers.ts';
import { attend, decodeProgram, embedTokens, type Model, outputHead } from '../model/forward.ts';
import { kvCacheBytes } from '../model/kv-cache.ts';
import { combineExperts, routeTokens, runExperts } from '../model/moe-layer.ts';
import { orStopped } from './stopping.ts';

/** Experts that are uploaded and computed together: few, so that the next ones are read in the meantime. */
const WAVE = 2;
/** With so many tokens nearly every expert of the next layer will be chosen: it is worth reading them ahead. */
const READ_AHEAD_TOKENS = 16;

export interface PrefillInputs {
  model: Model;
  experts: ExpertCache;
  readback: Readback;
  /** Tokens to add to the KV cache, at least one; it grows as they need. */
  tokens: readonly TokenId[];
  /** Position of the first of them. */
  position: number;
  /**
   * Called after each layer.
   * @param tokensDone tokens' worth of work
   * @param tokensCached tokens whose keys and values are complete
   */
  onProgress: (tokensDone: number, tokensCached: number) => void;
  /** Asked between layers; true ends the prefill with `aborted`. */
  stopped: () => boolean;
  /** Told the experts that each token of those going through the layers together chose: [tokens, expertsPerToken]. */
  onChoices?: (layer: LayerIndex, choices: Uint32Array) => void;
  /** Told what the routers find likely, for the tokens that went through the kernels last. */
  onRouterLogits?: OnRouterLogits;
}

/** Tokens that go through a kernel together. */
interface Chunk {
  tokens: readonly TokenId[];
  /** Place of the first of them among those that go through the layers together. */
  first: number;
  /** Position of the first of them in the KV cache. */
  position: number;
  buffers: StepBuffers;
}

/** Leaves the last token's residual in `buffers.headResidual` and the state ready for the output head. */
export async function prefill(inputs: PrefillInputs): Promise<void> {
  const { model, tokens, position, onProgress } = inputs;
  const { buffers, borrowed, ctx } = model;
  let stretches = stretchesOf(model, tokens.length, position, true);
  try {
    for (let first = 0; first < tokens.length; ) {
      const stretch = tokens.slice(first, first + stretches[0]);
      if (!(await makeRoom(model, position + first, stretch.length))) {
        stretches = stretchesOf(model, tokens.length - first, position + first, false);
        continue;
      }
      const onLayer = (share: number) => onProgress(first + Math.floor(stretch.length * share), first);
      await prefillTogether({ ...inputs, tokens: stretch, position: position + first }, onLayer);
      stretches = stretches.slice(1);
      first += stretch.length;
      onProgress(first, first);
    }
  } finally {
    borrowed.giveBack(); // before decoding lets the KV cache grow
  }
  writeState(ctx.pipelines.device, buffers.state, 1, position + tokens.length - 1);
}

/**
 * How many tokens go through the layers together, stretch after stretch.
 * @param borrowing whether rows may be borrowed beside the standing ones
 */
function stretchesOf({ config, buffers, borrowed, kvCache }: Model, tokens: number, position: number, borrowing: boolean): number[] {
  const unused = (positions: number) => kvCacheBytes(config, kvCache.limit - kvCache.capacityFor(positions));
  return planStretches({
    position, tokens, standing: buffers.maxPrompt, step: buffers.maxTokens, rowBytes: borrowed.bytesEach,
    reserveAt: borrowing ? unused : () => 0,
  });
}

/**
 * Lets the KV cache grow for `count` tokens more, and borrows the rows that they want beside the standing ones.
 * @returns false where the GPU has no memory for the rows
 */
async function makeRoom({ buffers, borrowed, kvCache }: Model, position: number, count: number): Promise<boolean> {
  borrowed.giveBack(); // the KV cache grows into their memory
  const beyond = Math.max(0, count - buffers.maxPrompt);
  if (beyond > 0) await kvCache.fit(position + count);
  else kvCache.grow(position + count);
  return borrowed.borrow(beyond);
}

/** Sets tokens and position, clears the stall mark; the sampler's step goes on. */
export function writeState(device: GPUDevice, state: Slice, tokenCount: number, position: number): void {
  const words = new Uint32Array(3);
  words[STATE.tokenCount] = tokenCount;
  words[STATE.position] = position;
  words[STATE.stalled] = 0;
  device.queue.writeBuffer(state.buffer, state.offset, words);
}

/** Chunks with their rows: the standing ones first, then those that are borrowed. */
function chunksOf({ buffers, borrowed, config }: Model, tokens: readonly TokenId[], position: number): Chunk[] {
  const segments: readonly PromptBuffers[] = [buffers, ...borrowed.segments];
  const places = segments.flatMap((segment) =>
    Array.from({ length: Math.ceil(segment.maxPrompt / buffers.maxTokens) }, (_, index) => ({ segment, row: index * buffers.maxTokens })),
  );
  return slicesOf(tokens, buffers.maxTokens).map((part, index) => {
    const first = index * buffers.maxTokens;
    const { segment, row } = places[index];
    return {
      tokens: part, first, position: position + first,
      buffers: chunkOf(buffers, segment, row, part.length, config.expertsPerToken),
    };
  });
}

/**
 * Tokens that there are rows for, through all layers; the last one's residual ends in `buffers.headResidual`.
 * @param onLayer told the share of the layers that is done, but for the last
 */
async function prefillTogether(inputs: PrefillInputs, onLayer: (share: number) => void): Promise<void> {
  const { model, readback, stopped, tokens, position } = inputs;
  const { config, ctx, buffers } = model;
  const device = ctx.pipelines.device;
  const chunks = chunksOf(model, tokens, position);
  for (const { tokens: part, buffers: own } of chunks) {
    device.queue.writeBuffer(buffers.tokens.buffer, 0, Uint32Array.from(part));
    writeState(device, buffers.state, part.length, 0);
    submit(device, embedTokens({ ...model, buffers: own }, part.length));
  }
  for (let l = 0; l < config.layerCount; l++) {
    if (stopped()) throw new MixtabError('aborted', 'Stopped.');
    if (l > 0) onLayer(l / config.layerCount);
    const layer = layerIndex(l);
    const last = chunks.at(-1)!;
    for (const chunk of chunks.slice(0, -1)) {
      writeState(device, buffers.state, chunk.tokens.length, chunk.position);
      submit(device, attendAndRoute(model, chunk, layer));
    }
    writeState(device, buffers.state, last.tokens.length, last.position);
    const wanted = chunks.map((chunk) => chunk.buffers.selected);
    const { slice, stride } = buffers.routerLogits;
    if (inputs.onRouterLogits) wanted.push({ ...slice, size: last.tokens.length * stride * 4 });
    const arrived = await readback.submit(record(device, attendAndRoute(model, last, layer)), wanted);
    const choices = joined(arrived.slice(0, chunks.length));
    for (const rows of arrived.slice(chunks.length)) {
      for (let t = 0; t < last.tokens.length; t++) inputs.onRouterLogits?.(layer, new Float32Array(rows, t * stride * 4, config.expertCount));
    }
    inputs.onChoices?.(layer, choices);
    await runGroups(inputs, layer, chunks, choices);
    for (const { tokens: part, buffers: own } of chunks) {
      writeState(device, buffers.state, part.length, 0);
      submit(device, combineExperts(ctx, { config, layer, buffers: own, maxTokens: part.length }));
    }
  }
  keepLast(model, chunks.at(-1)!);
}

function keepLast({ buffers: { headResidual }, ctx }: Model, { tokens, buffers: { residual } }: Chunk): void {
  const { device } = ctx.pipelines;
  const rowBytes = residual.stride * 4;
  const encoder = device.createCommandEncoder({ label: 'last token' });
  encoder.copyBufferToBuffer(
    residual.slice.buffer, residual.slice.offset + (tokens.length - 1) * rowBytes, headResidual.slice.buffer, 0, rowBytes,
  );
  device.queue.submit([encoder.finish()]);
}

/** Prompts of these many tokens need all the kernels there are: more take other tilings (workers/gpu/ops/weight-shader.ts). */
const PLANNED_PROMPTS = [1, 8];

/** Records what a prompt's first token and the following ones need, for {@link PipelineCache.compile}. */
export function planKernels(model: Model): void {
  const { ctx, config } = model;
  // First, since the sampler takes longest by far.
  outputHead(model, model.buffers.headResidual);
  for (const count of PLANNED_PROMPTS) {
    const [chunk] = chunksOf(model, Array.from({ length: count }, () => tokenId(0)), 0);
    embedTokens({ ...model, buffers: chunk.buffers }, count);
    for (let l = 0; l < config.layerCount; l++) {
      const layer = layerIndex(l);
      const { buffers } = chunk;
      attendAndRoute(model, chunk, layer);
      for (const maxAssignments of PLANNED_PROMPTS) {
        runExperts(ctx, { config, banks: model.banks(layer), layer, buffers, groupCount: 1, maxAssignments });
      }
      combineExperts(ctx, { config, layer, buffers, maxTokens: count });
    }
  }
  decodeProgram(model);
}

function attendAndRoute(model: Model, { tokens, buffers }: Chunk, layer: LayerIndex): Dispatch[] {
  const { config, ctx, weights, slotTable } = model;
  const maxTokens = tokens.length;
  const { norm, route } = routeTokens(ctx, {
    config, weights: weights.layers[layer], layer, slotTable, selected: buffers.selected, buffers, maxTokens, mode: 'prefill',
  });
  return [...attend({ ...model, buffers }, layer, maxTokens), ...norm, ...route];
}

/** Runs the chosen experts: resident ones first, then a few at a time as they arrive. */
async function runGroups(inputs: PrefillInputs, layer: LayerIndex, chunks: readonly Chunk[], choices: Uint32Array): Promise<void> {
  const { model, experts } = inputs;
  const { queue } = model.ctx.pipelines.device;
  const { layerCount, expertCount, expertsPerToken } = model.config;
  const chosen = groupByExpert(choices).map(({ expert }) => expert);
  const isResident = (expert: ExpertIndex) => experts.slotOf(layer, expert) !== undefined;
  const missing = chosen.filter((expert) => !isResident(expert));
  const waves = [
    ...slicesOf(chosen.filter(isResident), experts.slotCount(layer)),
    ...slicesOf(missing, Math.min(WAVE, experts.slotCount(layer))),
  ];
  experts.use(layer, chosen);
  const next = layerIndex(layer + 1);
  const readNextLayer = next < layerCount && choices.length >= READ_AHEAD_TOKENS * expertsPerToken;
  const all = Array.from({ length: expertCount }, (_, expert) => expertIndex(expert));
  const groupsOf = chunks.map(({ first, tokens }) =>
    groupByExpert(choices.subarray(first * expertsPerToken, (first + tokens.length) * expertsPerToken)),
  );
  // Uploads wait until all but the last wave are done: else a slow GPU would let them pile up in memory.
  let submitted: Promise<unknown>[] = [];
  const ready = async (): Promise<void> => {
    await submitted.at(-2);
  };
  for (const [index, wave] of waves.entries()) {
    const ensured = experts.ensure(layer, wave, ready);
    // Behind what this wave itself has to wait for.
    const following = waves.slice(index + 1).find((later) => later.some((expert) => !isResident(expert)));
    if (following) experts.readAhead(layer, following);
    else if (readNextLayer) experts.readAhead(next, all.filter((expert) => experts.slotOf(next, expert) === undefined).slice(0, WAVE));
    await orStopped(ensured, inputs.stopped);
    for (const [c, chunk] of chunks.entries()) {
      const groups = groupsOf[c].filter(({ expert }) => wave.includes(expert));
      if (groups.length > 0) submitGroups(inputs, layer, chunk, groups, chunks.length > 1);
    }
    submitted = [...submitted.slice(-1), queue.onSubmittedWorkDone()];
  }
  experts.forgetReadAhead(layer);
}

/** @param norm the norm's output is another chunk's by now: compute it again */
function submitGroups({ model, experts }: PrefillInputs, layer: LayerIndex, chunk: Chunk, groups: ExpertGroup[], norm: boolean): void {
  const { config, ctx, weights, slotTable } = model;
  const { buffers, tokens } = chunk;
  const device = ctx.pipelines.device;
  const words = encodeGroups(groups, (expert) => experts.slotOf(layer, expert)!);
  device.queue.writeBuffer(buffers.groups.buffer, 0, words);
  writeState(device, buffers.state, tokens.length, chunk.position);
  const normed = norm
    ? routeTokens(ctx, {
        config, weights: weights.layers[layer], layer, slotTable, selected: buffers.selected, buffers, maxTokens: tokens.length,
        mode: 'prefill',
      }).norm
    : [];
  const maxAssignments = Math.max(...groups.map(({ assignments }) => assignments.length));
  submit(device, [
    ...normed,
    ...runExperts(ctx, { config, banks: model.banks(layer), layer, buffers, groupCount: groups.length, maxAssignments }),
  ]);
}

/** Records dispatches as one pass. */
export function record(device: GPUDevice, dispatches: readonly Dispatch[]): GPUCommandEncoder {
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  encode(pass, dispatches);
  pass.end();
  return encoder;
}

function submit(device: GPUDevice, dispatches: readonly Dispatch[]): void {
  device.queue.submit([record(device, dispatches).finish()]);
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
