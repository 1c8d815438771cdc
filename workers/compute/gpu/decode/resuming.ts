/**
 * Decoding while experts are missing in few layers: a token is submitted whole, and its rest again after each stall.
 * Each readback includes predictions for the layer after the stall. One readback per token and one more per stall.
 */
import { MixtabError } from '../../../../src/contract/errors.ts';
import type { LayerIndex } from '../../../../src/contract/ids.ts';
import type { Dispatch } from '../dispatch.ts';
import type { DecodeProgram } from '../model/decode-program.ts';
import { type DecodeContext, type Progress, type SerialStrategy, toPrediction } from './decode-context.ts';

/**
 * Decodes a token as a whole, and submits the rest of it again after each stall. Used if experts are missing in few
 * layers.
 */
export class ResumingDecoding implements SerialStrategy {
  constructor(private readonly context: DecodeContext) {}

  async begin(): Promise<Progress> {
    const { withPredictions } = await this.context.startToken();
    return this.#runToEnd(withPredictions, 0);
  }

  resume(program: DecodeProgram, layer: LayerIndex, pending: readonly Dispatch[]): Promise<Progress> {
    return this.#runToEnd([...pending, ...program.untilEnd(layer)], layer + 1);
  }

  /**
   * Runs the rest of a token, which may stall.
   * @param firstLayer the first layer whose experts the dispatches select
   */
  async #runToEnd(dispatches: readonly Dispatch[], firstLayer: number): Promise<Progress> {
    const { context } = this;
    const { predictions } = context.inputs.model.buffers;
    const [result, stallMark, traceWords, predictionWords] = await context.submitUntilStall(dispatches, [predictions]);
    const stall = context.stallIn(stallMark, traceWords);
    const missedLayers = context.recordPassedLayers(traceWords, firstLayer, stall);
    if (!stall) return { result, missedLayers };
    if (stall.layer < firstLayer) throw new MixtabError('internal', 'A step stalled although its experts were loaded.');
    context.clearStall();
    const predicted = context
      .layersAfter(stall.layer, 1)
      .map((layer) => toPrediction(layer, context.selectedExpertsIn(predictionWords, layer)));
    return { stall: { ...stall, predictions: predicted }, missedLayers };
  }
}
