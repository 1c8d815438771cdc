/**
 * The prompt: layer by layer through a whole batch of tokens, tokens grouped by expert, so that each
 * expert is read once a batch however many tokens chose it. One small readback a layer tells which
 * experts were chosen.
 */
import { MixtabError } from '../../src/contract/errors.ts';
import { type LayerIndex, layerIndex, type TokenId } from '../../src/contract/ids.ts';
import type { ExpertCache } from '../experts/expert-cache.ts';
import { encodeGroups, type ExpertGroup, groupByExpert } from '../experts/grouping.ts';
import { type Dispatch, encode, type Slice } from '../gpu/dispatch.ts';
import type { Readback } from '../gpu/readback.ts';
import { STATE } from '../gpu/step-state.ts';
import { attend, embedTokens, type Model } from '../model/forward.ts';
import { combineExperts, routeTokens, runExperts } from '../model/moe-layer.ts';

export interface PrefillInputs {
  model: Model;
  experts: ExpertCache;
  readback: Readback;
  /** Tokens to add to the KV cache, at least one. */
  tokens: readonly TokenId[];
  /** Position of the first of them. */
  position: number;
  onProgress: (tokensDone: number) => void;
  /** Asked between layers; true ends the prefill with `aborted`. */
  stopped: () => boolean;
}

/** Leaves the last token's residual in `buffers.headResidual` and the state ready for the output head. */
export async function prefill(inputs: PrefillInputs): Promise<void> {
  const { model, tokens, position, onProgress } = inputs;
  const { buffers, ctx } = model;
  const device = ctx.pipelines.device;
  let lastRow = 0;
  for (let first = 0; first < tokens.length; first += buffers.maxTokens) {
    const batch = tokens.slice(first, first + buffers.maxTokens);
    await prefillBatch(inputs, batch, position + first);
    lastRow = batch.length - 1;
    onProgress(first + batch.length);
  }
  const { residual, headResidual, state } = buffers;
  const encoder = device.createCommandEncoder({ label: 'last token' });
  encoder.copyBufferToBuffer(
    residual.slice.buffer, lastRow * residual.stride * 4, headResidual.slice.buffer, 0, residual.stride * 4,
  );
  device.queue.submit([encoder.finish()]);
  writeState(device, state, 1, position + tokens.length - 1);
}

/** Sets tokens and position, clears the stall mark; the sampler's step goes on. */
function writeState(device: GPUDevice, state: Slice, tokenCount: number, position: number): void {
  const words = new Uint32Array(3);
  words[STATE.tokenCount] = tokenCount;
  words[STATE.position] = position;
  words[STATE.stalled] = 0;
  device.queue.writeBuffer(state.buffer, state.offset, words);
}

async function prefillBatch(inputs: PrefillInputs, batch: readonly TokenId[], position: number): Promise<void> {
  const { model, readback, stopped } = inputs;
  const { config, ctx, buffers, weights, slotTable } = model;
  const device = ctx.pipelines.device;
  const maxTokens = batch.length;
  device.queue.writeBuffer(buffers.tokens.buffer, 0, Uint32Array.from(batch));
  writeState(device, buffers.state, maxTokens, position);

  const selected = { ...buffers.selected, size: maxTokens * config.expertsPerToken * 4 };
  let pending: Dispatch[] = embedTokens(model, maxTokens);
  for (let l = 0; l < config.layerCount; l++) {
    if (stopped()) throw new MixtabError('aborted', 'Stopped.');
    const layer = layerIndex(l);
    const { norm, route } = routeTokens(ctx, {
      config, weights: weights.layers[layer], layer, slotTable, selected: buffers.selected, buffers, maxTokens,
      mode: 'prefill',
    });
    const encoder = record(device, [...pending, ...attend(model, layer, maxTokens), ...norm, ...route]);
    const [choices] = await readback.submit(encoder, [selected]);
    await runGroups(inputs, layer, new Uint32Array(choices));
    pending = combineExperts(ctx, { config, layer, buffers, maxTokens });
  }
  device.queue.submit([record(device, pending).finish()]);
}

function record(device: GPUDevice, dispatches: readonly Dispatch[]): GPUCommandEncoder {
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  encode(pass, dispatches);
  pass.end();
  return encoder;
}

/** Runs the chosen experts in waves of as many as the layer has slots; resident ones first. */
async function runGroups({ model, experts }: PrefillInputs, layer: LayerIndex, choices: Uint32Array): Promise<void> {
  const { config, ctx, buffers } = model;
  const device = ctx.pipelines.device;
  const isResident = ({ expert }: ExpertGroup) => experts.slotOf(layer, expert) !== undefined;
  const all = groupByExpert(choices);
  const missing = all.filter((group) => !isResident(group));
  const waves = [all.filter(isResident), ...chunks(missing, experts.slotCount(layer))];
  for (const wave of waves) {
    if (wave.length === 0) continue;
    // The waves before are submitted: their slots may be overwritten, the queue keeps the order.
    await experts.ensure(layer, wave.map(({ expert }) => expert));
    const words = encodeGroups(wave, (expert) => experts.slotOf(layer, expert)!);
    device.queue.writeBuffer(buffers.groups.buffer, 0, words);
    const maxAssignments = Math.max(...wave.map(({ assignments }) => assignments.length));
    const dispatches = runExperts(ctx, {
      config, banks: model.banks(layer), layer, buffers, groupCount: wave.length, maxAssignments,
    });
    device.queue.submit([record(device, dispatches).finish()]);
  }
  experts.count(layer, all.map(({ expert }) => expert), missing.length);
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  const result: T[][] = [];
  for (let at = 0; at < items.length; at += size) result.push(items.slice(at, at + size));
  return result;
}
