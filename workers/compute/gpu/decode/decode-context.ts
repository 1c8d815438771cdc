/**
 * The state of one answer's decoding that the strategies share: positions, recorded programs, and how to read a trace.
 */
import { type LayerIndex, layerIndex } from '../../../../src/contract/ids.ts';
import type { ExpertCache, Prediction } from '../../../experts/expert-cache.ts';
import { distinctExperts } from '../../../experts/grouping.ts';
import type { OnRouterLogits } from '../../../experts/likelihood-publisher.ts';
import type { Dispatch, Slice } from '../dispatch.ts';
import { TRACE_STRIDE } from '../model/buffers.ts';
import { type DecodeProgram, decodeProgram } from '../model/decode-program.ts';
import type { Model } from '../model/model.ts';
import type { Activations } from '../ops/context.ts';
import { encodePaced, submitPaced } from '../pacing.ts';
import type { Readback } from '../readback.ts';
import { readStalledLayer } from '../step-state.ts';

export interface DecodeInputs {
  model: Model;
  experts: ExpertCache;
  readback: Readback;
  /** Ends a token at its next layer, or while it waits for experts. */
  signal: AbortSignal;
  /** Called with the router logits of every layer of a token that is decoded layerwise. */
  onRouterLogits?: OnRouterLogits;
  /** Computes the result from the last layer's residual; default: output head and sampler. */
  head?: {
    dispatches: (model: Model, residual: Activations) => Dispatch[];
    /** Where the dispatches leave the result. */
    result: Slice;
  };
}

/** A token that waits at a layer: the router has picked its experts, and they have not run yet. */
export interface Stall {
  layer: LayerIndex;
  /** u32[expertsPerToken], best first. */
  selectedExperts: Uint32Array;
  /** For the layers after `layer`, nearest first; may be empty. */
  predictions: readonly Prediction[];
}

/** How far a submission took a token: to its result, or to a layer at which the token waits. */
export type Progress = {
  /** Layers that the submission passed whose experts were not all resident before this token. */
  missedLayers: number;
} & ({ result: ArrayBuffer; stall?: undefined } | { stall: Stall });

/** A strategy for a token with no other token in flight. */
export interface SerialStrategy {
  /** Starts a token. */
  begin(): Promise<Progress>;
  /**
   * Continues a token once the experts of `layer` are loaded.
   * @param program of the context, for the KV cache as it is now
   * @param pending expert dispatches of `layer` that are not submitted yet
   */
  resume(program: DecodeProgram, layer: LayerIndex, pending: readonly Dispatch[]): Promise<Progress>;
}

/** Programs that end with the sampler, by the KV cache buffers they were recorded with. They outlive an answer. */
const samplerPrograms = new WeakMap<Model['kvCache']['layers'], DecodeProgram>();

/**
 * The state of one answer's decoding that all strategies share: positions, recorded programs, and how to read a trace.
 */
export class DecodeContext {
  /** Where a token's result is on the GPU. */
  readonly result: Slice;
  /** Tokens in the KV cache once everything that was submitted is done. */
  #positions: number;
  readonly #programs: WeakMap<Model['kvCache']['layers'], DecodeProgram>;

  /** @param positions tokens in the KV cache now */
  constructor(
    readonly inputs: DecodeInputs,
    positions: number,
  ) {
    this.#positions = positions;
    this.result = inputs.head?.result ?? inputs.model.buffers.sampleResult;
    this.#programs = inputs.head ? new WeakMap() : samplerPrograms;
  }

  /** Makes room for another token in the KV cache; returns the program to submit it with. */
  startToken(): Promise<DecodeProgram> {
    this.#positions++;
    return this.program();
  }

  /** Forgets tokens that were submitted and computed nothing because an earlier one stalled. */
  discardTokens(count: number): void {
    this.#positions -= count;
  }

  /** The program for a KV cache that holds all tokens submitted so far. A cache that has grown gets a new program. */
  async program(): Promise<DecodeProgram> {
    const { model, head } = this.inputs;
    await model.kvCache.grow(this.#positions);
    const recorded = this.#programs.get(model.kvCache.layers);
    if (recorded) return recorded;
    const program = decodeProgram(model, head?.dispatches);
    this.#programs.set(model.kvCache.layers, program);
    return program;
  }

  /**
   * Submits dispatches that end early if an expert is missing.
   * @param more slices to read back
   * @returns the result, the stall mark, the trace, and the bytes of `more`
   */
  submitUntilStall(dispatches: readonly Dispatch[], more: readonly Slice[] = []): Promise<ArrayBuffer[]> {
    const { model, readback } = this.inputs;
    const { state, trace } = model.buffers;
    const isWhole = async (): Promise<boolean> => {
      const [, stallMark, traceWords] = await results;
      return readStalledLayer(stallMark) === undefined && !this.#hasSkipped(traceWords);
    };
    const encoder = encodePaced(model.ctx, dispatches, 'decode', isWhole);
    const results = readback.submit(encoder, [this.result, state.stallMark, trace, ...more]);
    return results;
  }

  /** Whether the token used fewer experts than others do: a skipped one is replaced by another one in the trace. */
  #hasSkipped(trace: ArrayBuffer): boolean {
    const { layerCount, expertsPerToken } = this.inputs.model.config;
    return Array.from({ length: layerCount }, (_, layer) => this.selectedExpertsIn(trace, layer)).some(
      (selectedExperts) => distinctExperts(selectedExperts).length < expertsPerToken,
    );
  }

  /** As {@link encodePaced}, for dispatches that cannot stall: submit the encoder before the next `await`. */
  encodePass(dispatches: readonly Dispatch[]): GPUCommandEncoder {
    return encodePaced(this.inputs.model.ctx, dispatches, 'decode');
  }

  submit(dispatches: readonly Dispatch[]): void {
    submitPaced(this.inputs.model.ctx, dispatches, 'decode');
  }

  /**
   * Reads from a readback whether and where a token stalled.
   * @param mark the stall mark that a submission left
   * @param trace the experts of each layer that it passed
   * @returns where the token stalled, or undefined if it is done
   */
  stallIn(mark: ArrayBuffer, trace: ArrayBuffer): Stall | undefined {
    const layer = readStalledLayer(mark);
    if (layer === undefined) return undefined;
    return { layer, selectedExperts: this.selectedExpertsIn(trace, layer), predictions: [] };
  }

  clearStall(): void {
    this.inputs.model.buffers.state.clearStall();
  }

  /** @param trace the experts of every layer, as the routers picked or predicted them */
  selectedExpertsIn(trace: ArrayBuffer, layer: number): Uint32Array {
    return new Uint32Array(trace, layer * TRACE_STRIDE, this.inputs.model.config.expertsPerToken);
  }

  /**
   * Records the expert accesses of the layers that a submission has passed.
   * @param firstLayer the first layer whose router it ran
   * @param stall where it ended; the accesses of that layer are recorded when it is resumed
   * @returns how many of these layers had experts that only a prefetch made resident
   */
  recordPassedLayers(trace: ArrayBuffer, firstLayer: number, stall: Stall | undefined): number {
    const { model, experts } = this.inputs;
    let prefetched = 0;
    for (let l = firstLayer; l < (stall?.layer ?? model.config.layerCount); l++) {
      if (experts.recordAccess(layerIndex(l), this.selectedExpertsIn(trace, l)).prefetchHits > 0) prefetched++;
    }
    return prefetched;
  }

  /** Up to `count` layers that follow `layer`. */
  layersAfter(layer: LayerIndex, count: number): LayerIndex[] {
    return Array.from({ length: count }, (_, n) => layerIndex(layer + 1 + n)).filter(
      (l) => l < this.inputs.model.config.layerCount,
    );
  }
}

/** The prediction that a layer will need these experts. Repeated ones are removed. */
export const toPrediction = (layer: LayerIndex, selectedExperts: Uint32Array): Prediction => ({
  layer,
  experts: distinctExperts(selectedExperts),
});
