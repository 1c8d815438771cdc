/** The experts of one layer in a prefill: loaded and run in waves, while the next ones are read. */
import { type ExpertIndex, expertIndex, type LayerIndex, layerIndex } from '../../../src/contract/ids.ts';
import type { ExpertCache } from '../../experts/expert-cache.ts';
import { type ExpertGroup, groupByExpert } from '../../experts/grouping.ts';
import { abortable } from '../abortable.ts';
import { submit } from './dispatch.ts';
import { encodeGroups } from './encode-groups.ts';
import type { Model } from './model/model.ts';
import { combineExperts, runExperts, scoreExperts } from './model/moe-layer.ts';
import { type Chunk, partsOf } from './prefill-chunk.ts';
import type { Readback } from './readback.ts';

/** Experts that are uploaded and computed together. Few, so that the next ones can be read in the meantime. */
const WAVE = 2;
/** With this many tokens, nearly every expert of the next layer will be needed, so prefetching them pays off. */
const PREFETCH_MIN_TOKENS = 16;

export interface LayerExpertsInputs {
  model: Model;
  experts: ExpertCache;
  readback: Readback;
  signal: AbortSignal;
}

/**
 * Loads and runs the experts that the tokens need in a layer, wave after wave. Their outputs are in `expertOut`, or
 * added to the chunks' accumulators if there are several chunks.
 * @param selectedExperts u32[tokens of all chunks, expertsPerToken]
 */
export async function runLayerExperts(
  inputs: LayerExpertsInputs,
  layer: LayerIndex,
  chunks: readonly Chunk[],
  selectedExperts: Uint32Array,
): Promise<void> {
  const { model, experts, signal } = inputs;
  const { queue } = model.ctx.pipelines.device;
  const { expertsPerToken } = model.config;
  const distinct = groupByExpert(selectedExperts).map(({ expert }) => expert);
  const waves = wavesOf(inputs, layer, distinct, chunks.length > 1);
  experts.recordAccess(layer, distinct);
  const prefetchesNextLayer = selectedExperts.length >= PREFETCH_MIN_TOKENS * expertsPerToken;
  const groupsByChunk = chunks.map(({ first, tokens }) =>
    groupByExpert(selectedExperts.subarray(first * expertsPerToken, (first + tokens.length) * expertsPerToken)),
  );
  // Uploads wait until all waves but the last one are done; otherwise a slow GPU would let them pile up in memory.
  let submitted: Promise<unknown>[] = [];
  const canUpload = async (): Promise<void> => {
    const before = submitted.at(-2);
    if (before) await inputs.readback.waitFor(before);
  };
  for (const [index, wave] of waves.entries()) {
    const loaded = experts.loadAll(layer, wave, canUpload);
    prefetchAfter(inputs, layer, waves.slice(index + 1), prefetchesNextLayer); // behind the loads of this wave
    await abortable(signal, loaded);
    for (const [c, chunk] of chunks.entries()) {
      const groups = groupsByChunk[c].filter(({ expert }) => wave.includes(expert));
      if (groups.length > 0) submitGroups(inputs, layer, chunk, groups);
    }
    submitted = [...submitted.slice(-1), queue.onSubmittedWorkDone()];
  }
  experts.cancelPrefetches(layer);
}

/**
 * Orders the experts of a layer into the waves in which they run.
 *
 * If every wave adds to the sum of those before it, that sum must not depend on which experts happen to be resident.
 * Zero plus two addends is the same in either order. So with up to two experts per token any order will do: resident
 * experts first, then a few at a time as they are loaded. With more, the waves are the same at every budget.
 * @param distinct ascending, each once
 * @param accumulating whether each wave is added to an accumulator, rather than all of them at the end in order of
 * selection
 */
function wavesOf(
  { model, experts }: LayerExpertsInputs,
  layer: LayerIndex,
  distinct: readonly ExpertIndex[],
  accumulating: boolean,
): ExpertIndex[][] {
  const { expertsPerToken } = model.config;
  // A layer has slots for the experts of one token at every budget.
  if (accumulating && expertsPerToken > 2) return partsOf(distinct, expertsPerToken);
  const isResident = (expert: ExpertIndex): boolean => experts.slotOf(layer, expert) !== undefined;
  const resident = distinct.filter(isResident);
  const missing = distinct.filter((expert) => !isResident(expert));
  const slots = experts.slotCount(layer);
  return [...partsOf(resident, slots), ...partsOf(missing, Math.min(WAVE, slots))];
}

/** Prefetches the next wave that misses experts, or else the first missing experts of the next layer. */
function prefetchAfter(
  { model, experts }: LayerExpertsInputs,
  layer: LayerIndex,
  wavesLeft: readonly ExpertIndex[][],
  prefetchesNextLayer: boolean,
): void {
  const { layerCount, expertCount } = model.config;
  const isMissing = (l: LayerIndex, expert: ExpertIndex): boolean => experts.slotOf(l, expert) === undefined;
  const nextWave = wavesLeft.find((wave) => wave.some((expert) => isMissing(layer, expert)));
  if (nextWave) {
    experts.prefetchRecords(layer, nextWave);
    return;
  }
  const next = layerIndex(layer + 1);
  if (!prefetchesNextLayer || next === layerCount) return;
  const all = Array.from({ length: expertCount }, (_, expert) => expertIndex(expert));
  experts.prefetchRecords(next, all.filter((expert) => isMissing(next, expert)).slice(0, WAVE));
}

/** Submits the experts of one wave for the tokens of one chunk. */
function submitGroups(
  { model, experts }: LayerExpertsInputs,
  layer: LayerIndex,
  chunk: Chunk,
  groups: ExpertGroup[],
): void {
  const { buffers, tokens } = chunk;
  const { device } = model.ctx.pipelines;
  const words = encodeGroups(groups, (expert) => experts.slotOf(layer, expert)!);
  device.queue.writeBuffer(buffers.groups.buffer, 0, words);
  buffers.state.startBatch(tokens.length, chunk.position);
  const chunkModel = { ...model, buffers };
  const maxAssignments = Math.max(...groups.map(({ assignments }) => assignments.length));
  const dispatches = runExperts(chunkModel, layer, { groupCount: groups.length, maxAssignments });
  if (buffers.accumulator) {
    // Another chunk has used the shared buffers since: compute the norm again, and empty the experts' outputs.
    dispatches.unshift(...scoreExperts(chunkModel, layer, tokens.length));
    dispatches.push(...combineExperts(chunkModel, layer, tokens.length));
  }
  submit(device, dispatches);
}
