/**
 * Decoding while experts are missing in many layers: a readback after each router says which experts to load, and which
 * ones the next layers will probably select. These are prefetched while this layer computes. One readback per layer.
 */
import { type LayerIndex, layerIndex } from '../../../../src/contract/ids.ts';
import type { Dispatch, Slice } from '../dispatch.ts';
import { predictionOf, traceOf } from '../model/buffers.ts';
import type { DecodeProgram, PredictionDepth } from '../model/decode-program.ts';
import { type DecodeContext, type Progress, type SerialStrategy, toPrediction } from './decode-context.ts';

/** Decodes a token with a readback after each router. Used if experts are missing in many layers. */
export class LayerwiseDecoding implements SerialStrategy {
  constructor(private readonly context: DecodeContext) {}

  async begin(): Promise<Progress> {
    const { start } = await this.context.startToken();
    const depth = this.context.inputs.experts.predictionDepth;
    return this.#runToSelection(start(depth), layerIndex(0), depth);
  }

  /** @param layer not the last layer: that one is followed by no router */
  resume(program: DecodeProgram, layer: LayerIndex, pending: readonly Dispatch[]): Promise<Progress> {
    const depth = this.context.inputs.experts.predictionDepth;
    const dispatches = [...pending, ...program.untilNextSelection(layer, depth)];
    return this.#runToSelection(dispatches, layerIndex(layer + 1), depth);
  }

  /** Runs up to the router of `layer`, with predictions for up to `depth` layers after it. */
  async #runToSelection(dispatches: readonly Dispatch[], layer: LayerIndex, depth: PredictionDepth): Promise<Progress> {
    const { context } = this;
    const { model, readback, onRouterLogits } = context.inputs;
    const { config, buffers } = model;
    const slices: Slice[] = [traceOf(buffers, layer, config.expertsPerToken)];
    if (onRouterLogits) slices.push({ ...buffers.routerLogits.slice, size: config.expertCount * 4 });
    const predictedLayers = context.layersAfter(layer, depth);
    for (const l of predictedLayers) slices.push(predictionOf(buffers, l, config.expertsPerToken));
    const [selectedExperts, ...rest] = await readback.submit(context.encodePass(dispatches), slices);
    if (onRouterLogits) onRouterLogits(layer, new Float32Array(rest.shift()!));
    const predictions = predictedLayers.map((l, i) => toPrediction(l, new Uint32Array(rest[i])));
    return { stall: { layer, selectedExperts: new Uint32Array(selectedExperts), predictions }, missedLayers: 0 };
  }
}
