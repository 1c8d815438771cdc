/** Compiles, while a model loads, all the kernels that its first answer will need. */
import { layerIndex, tokenId } from '../../../src/contract/ids.ts';
import { decodeProgram } from './model/decode-program.ts';
import { embedTokens, outputHead } from './model/forward.ts';
import type { Model } from './model/model.ts';
import { combineExperts, runExperts } from './model/moe-layer.ts';
import { attendAndRoute, type Chunk } from './prefill-chunk.ts';

/**
 * Prompts of these lengths need every kernel: longer ones use other tilings (workers/compute/gpu/ops/weight-shader.ts).
 */
const PLANNED_PROMPTS = [1, 8];

/** Records, without submitting, what a prompt and the tokens after it need; call it within `PipelineCache.compile`. */
export function planKernels(model: Model): void {
  outputHead(model, model.buffers.headResidual);
  for (const tokenCount of PLANNED_PROMPTS) planPrompt(model, tokenCount);
  decodeProgram(model);
}

function planPrompt(model: Model, tokenCount: number): void {
  const { config, buffers } = model;
  const tokens = Array.from({ length: tokenCount }, () => tokenId(0));
  const chunk: Chunk = { tokens, first: 0, position: 0, buffers };
  embedTokens(model, tokenCount);
  for (let l = 0; l < config.layerCount; l++) {
    const layer = layerIndex(l);
    attendAndRoute(model, chunk, layer);
    for (const maxAssignments of PLANNED_PROMPTS) {
      runExperts(model, layer, { groupCount: 1, maxAssignments });
    }
    combineExperts(model, layer, tokenCount);
  }
}
