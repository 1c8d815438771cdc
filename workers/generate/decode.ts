/**
 * One token a step: the whole token is submitted at once, and one small readback brings the sampled
 * token, the stall mark and every layer's chosen experts. Where an expert was missing, it is loaded
 * and the token resumed from that layer's router.
 */
import { MixtabError } from '../../src/contract/errors.ts';
import { type LayerIndex, layerIndex } from '../../src/contract/ids.ts';
import type { ExpertCache } from '../experts/expert-cache.ts';
import { distinctExperts } from '../experts/residency.ts';
import { encode } from '../gpu/dispatch.ts';
import type { Readback } from '../gpu/readback.ts';
import { STATE } from '../gpu/step-state.ts';
import { TRACE_STRIDE } from '../model/buffers.ts';
import type { DecodeProgram, Model } from '../model/forward.ts';

export interface DecodeInputs {
  model: Model;
  program: DecodeProgram;
  experts: ExpertCache;
  readback: Readback;
}

/** Computes the next token; returns the sampler's result as `workers/gpu/ops/sample.ts` lays it out. */
export async function decodeStep({ model, program, experts, readback }: DecodeInputs): Promise<ArrayBuffer> {
  const { config, ctx, buffers } = model;
  const { device } = ctx.pipelines;
  const missed = new Array<number>(config.layerCount).fill(0);
  let from = 0;
  for (;;) {
    const encoder = device.createCommandEncoder({ label: 'decode' });
    const pass = encoder.beginComputePass();
    encode(pass, program.dispatches.slice(from));
    pass.end();
    const [result, state, trace] = await readback.submit(encoder, [buffers.sampleResult, buffers.state, buffers.trace]);
    const choicesOf = (layer: LayerIndex) => new Uint32Array(trace, layer * TRACE_STRIDE, config.expertsPerToken);
    const stalled = new Uint32Array(state)[STATE.stalled];
    if (stalled === 0) {
      for (let l = 0; l < config.layerCount; l++) experts.count(layerIndex(l), choicesOf(layerIndex(l)), missed[l]);
      if (from > 0) experts.countStall();
      return result;
    }
    const layer = layerIndex(stalled - 1);
    const chosen = distinctExperts(choicesOf(layer));
    missed[layer] = chosen.filter((expert) => experts.slotOf(layer, expert) === undefined).length;
    if (missed[layer] === 0) {
      throw new MixtabError('internal', `Layer ${layer} stalled although experts ${chosen.join(', ')} are resident.`);
    }
    await experts.ensure(layer, chosen);
    device.queue.writeBuffer(buffers.state.buffer, STATE.stalled * 4, new Uint32Array([0]));
    from = program.resumeAt[layer];
  }
}
