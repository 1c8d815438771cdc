/**
 * Decodes the tokens of one answer, one `nextToken()` after another. The strategy of a token depends on the number of
 * layers in which the token before it missed experts (docs/streaming.md):
 *
 * - none: *pipelined*, submitted whole, two more tokens in flight. A missing expert stalls the token at its layer.
 * - at most a quarter of the layers: *resuming*, submitted whole, and after each stall the rest of it again.
 * - more: *layerwise*, a readback after each router.
 *
 * README.md draws the states of a token. A token that waits at a layer is continued layerwise or by resuming, whichever
 * fits the misses so far. The results are the same to the bit.
 */
import { throwIfAborted } from '../../../../src/contract/errors.ts';
import { clearExpertOutputs } from '../model/moe-layer.ts';
import { DecodeContext, type DecodeInputs, type Progress, type SerialStrategy } from './decode-context.ts';
import { LayerwiseDecoding } from './layerwise.ts';
import { PipelinedDecoding } from './pipelined.ts';
import { ResumingDecoding } from './resuming.ts';
import { loadAndRunExperts } from './run-experts.ts';

/** With experts missing in more than this share of the layers, a token is decoded layerwise. */
const LAYERWISE_THRESHOLD = 1 / 4;

/** Decodes the tokens of one answer, one {@link nextToken} after another. Loads missing experts as needed. */
export class Decoder {
  readonly #context: DecodeContext;
  readonly #pipelined: PipelinedDecoding;
  readonly #resuming: SerialStrategy;
  readonly #layerwise: SerialStrategy;
  /** Layers in which the last token missed experts; before the first token, the number expected by chance. */
  #missedLayers: number;

  /**
   * @param positions tokens in the KV cache; the next token's id is in the token buffer, its position in the step state
   */
  constructor(
    private readonly inputs: DecodeInputs,
    positions: number,
  ) {
    this.#context = new DecodeContext(inputs, positions);
    this.#pipelined = new PipelinedDecoding(this.#context);
    this.#resuming = new ResumingDecoding(this.#context);
    this.#layerwise = new LayerwiseDecoding(this.#context);
    this.#missedLayers = inputs.experts.expectedMissedLayers(inputs.model.config.expertsPerToken);
  }

  /**
   * Computes the next token. After an error, nothing of the token is left on the GPU or in the queue of reads.
   * @param maxFurtherTokens how many tokens may be computed after this one
   * @returns the result of the head: by default the sampler's, as `workers/compute/gpu/ops/sample.ts` lays it out
   * @throws MixtabError `aborted`, or an error of reading or uploading an expert
   */
  async nextToken(maxFurtherTokens: number): Promise<ArrayBuffer> {
    try {
      return await this.#decode(maxFurtherTokens);
    } catch (error) {
      const { model, experts } = this.inputs;
      experts.cancel();
      clearExpertOutputs(model.ctx.pipelines.device, model.buffers);
      throw error;
    }
  }

  /** Waits for tokens in flight that are no longer needed. */
  drain(): Promise<void> {
    return this.#pipelined.drain();
  }

  /**
   * Reads which experts the last token used. Call it while no token is in flight.
   * @returns u32[expertsPerToken] for each layer
   */
  async trace(): Promise<Uint32Array[]> {
    const { model, readback } = this.inputs;
    const { config, ctx, buffers } = model;
    const [trace] = await readback.submit(ctx.pipelines.device.createCommandEncoder(), [buffers.trace]);
    return Array.from({ length: config.layerCount }, (_, layer) => this.#context.selectedExpertsIn(trace, layer));
  }

  async #decode(maxFurtherTokens: number): Promise<ArrayBuffer> {
    if (this.#pipelined.isIdle && this.#missedLayers > 0) {
      const strategy = this.#isLayerwise(0) ? this.#layerwise : this.#resuming;
      return this.#complete(await strategy.begin());
    }
    const progress = await this.#pipelined.next(maxFurtherTokens);
    return progress.stall ? this.#complete(progress) : progress.result;
  }

  /**
   * Resumes a token that waits at a layer: loads its experts and continues it, layer by layer or stall by stall, until
   * it has a result.
   */
  async #complete(begun: Progress): Promise<ArrayBuffer> {
    const { experts, model, signal } = this.inputs;
    let progress = begun;
    let { missedLayers } = begun;
    let waited = false;
    while (progress.stall) {
      const { layer, selectedExperts } = progress.stall;
      throwIfAborted(signal);
      const program = await this.#context.program();
      const { missing, prefetchHits } = experts.recordAccess(layer, selectedExperts);
      if (missing > 0) waited = true;
      if (missing + prefetchHits > 0) missedLayers++;
      const pending = await loadAndRunExperts(this.#context, progress.stall, program.experts(layer));
      const isLast = layer + 1 === model.config.layerCount;
      const strategy = !isLast && this.#isLayerwise(missedLayers) ? this.#layerwise : this.#resuming;
      progress = await strategy.resume(program, layer, pending);
      missedLayers += progress.missedLayers;
    }
    this.#missedLayers = missedLayers;
    if (waited) experts.countStall();
    return progress.result;
  }

  /**
   * Whether a token should be decoded layer by layer.
   * @param missedLayers layers in which the token has missed experts so far
   */
  #isLayerwise(missedLayers: number): boolean {
    return Math.max(missedLayers, this.#missedLayers) > LAYERWISE_THRESHOLD * this.inputs.model.config.layerCount;
  }
}
