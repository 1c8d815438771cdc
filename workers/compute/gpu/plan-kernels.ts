/** Compiles, while a model loads, all the kernels that its first answer will need. */
import { layerIndex, tokenId } from '../../../src/contract/ids.ts';
import { decodeProgram } from './model/decode-program.ts';
import { embedTokens, outputHead } from './model/forward.ts';
import type { Model } from './model/model.ts';
import { combineExperts, runExperts } from './model/moe-layer.ts';
import { attendAndRoute, type Chunk } from './prefill-chunk.ts';
import { FEW_INPUTS } from './variants/matrix-variants.ts';

/**
 * Prompts of these lengths need every kernel: one, a few and many tokens use different variants
 * (workers/compute/gpu/variants/product-plan.ts).
 */
const PLANNED_PROMPTS = [1, FEW_INPUTS, FEW_INPUTS + 1];

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
