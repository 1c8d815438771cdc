/** The experts of one layer in a prefill: loaded and run in waves, while the next ones are read. */
import type { ExpertIndex, LayerIndex } from '../../../src/contract/ids.ts';
import type { ModelConfig } from '../../../src/contract/import-api.ts';
import type { ExpertCache } from '../../experts/expert-cache.ts';
import { type ExpertGroup, groupByExpert } from '../../experts/grouping.ts';
import { prefetchAfter, wavesOf } from '../../experts/waves.ts';
import { abortable } from '../../store/abortable.ts';
import type { Dispatch } from './dispatch.ts';
import { encodeGroups } from './encode-groups.ts';
import type { Model } from './model/model.ts';
import { combineExperts, runExperts, scoreExperts } from './model/moe-layer.ts';
import { submitPaced } from './pacing.ts';
import type { Chunk } from './prefill-chunk.ts';
import type { Readback } from './readback.ts';

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
  const wavesInputs = { config: model.config, experts };
  const waves = wavesOf(wavesInputs, layer, distinct, chunks.length > 1);
  experts.recordAccess(layer, distinct);
  const tokenCount = selectedExperts.length / expertsPerToken;
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
    prefetchAfter(wavesInputs, layer, waves.slice(index + 1), tokenCount); // behind the loads of this wave
    await abortable(signal, loaded);
    for (const [c, chunk] of chunks.entries()) {
      const groups = groupsByChunk[c].filter(({ expert }) => wave.includes(expert));
      if (groups.length > 0) submitGroups(inputs, layer, chunk, groups);
    }
    submitted = [...submitted.slice(-1), queue.onSubmittedWorkDone()];
  }
  experts.cancelPrefetches(layer);
}

/** Submits the experts of one wave for the tokens of one chunk. */
function submitGroups(inputs: LayerExpertsInputs, layer: LayerIndex, chunk: Chunk, groups: ExpertGroup[]): void {
  const { model } = inputs;
  const { buffers, tokens, position } = chunk;
  buffers.state.startBatch(tokens.length, position);
  const chunkModel = { ...model, buffers };
  const dispatches = runGroups(inputs, layer, chunk, groups);
  if (buffers.accumulator) {
    // Another chunk has used the shared buffers since: compute the norm again, and empty the experts' outputs.
    dispatches.unshift(...scoreExperts(chunkModel, layer, tokens.length));
    dispatches.push(...combineExperts(chunkModel, layer, tokens.length));
  }
  submitPaced(model.ctx, dispatches);
}

/**
 * Writes the work list to the GPU, and records the dispatches that do it. They have to be submitted before the next.
 */
function runGroups(
  { model, experts }: LayerExpertsInputs,
  layer: LayerIndex,
  { buffers, tokens }: Chunk,
  groups: readonly ExpertGroup[],
): Dispatch[] {
  const slotOf = (expert: ExpertIndex): number => experts.slotOf(layer, expert)!;
  const words = encodeGroups(groups, slotOf);
  model.ctx.pipelines.device.queue.writeBuffer(buffers.groups.buffer, 0, words);
  return runExperts({ ...model, buffers }, layer, {
    groupCount: groups.length,
    maxAssignments: Math.max(...groups.map(({ assignments }) => assignments.length)),
    typicalAssignments: assignmentsPerExpert(model.config, tokens.length),
    groups: groups.map(({ expert, assignments }) => ({ slot: slotOf(expert), assignments: assignments.length })),
  });
}

/** Assignments per expert, if all experts were equally busy in a chunk. At least 2 for several tokens. */
function assignmentsPerExpert({ expertsPerToken, expertCount }: ModelConfig, tokens: number): number {
  return tokens === 1 ? 1 : Math.max(2, Math.ceil((tokens * expertsPerToken) / expertCount));
}
