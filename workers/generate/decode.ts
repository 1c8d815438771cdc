/**
 * One token a step, in one of three ways (docs/streaming.md). Each submission brings one small readback.
 *
 * - *whole*: the token is submitted at once, and the next ones after it before its result is back. For when all experts are
 *   resident. A missing one stalls the token at its layer.
 * - *resuming*: the token is submitted at once, and from there on again after each stall, when what was missing is loaded. For
 *   when experts are missing in few layers.
 * - *by layers*: a readback after each router tells which experts to load, and which the next layer will probably
 *   want, so that these are read while this layer computes. For when experts are missing in many layers.
 *
 * Where a token waits for experts, those that are there compute meanwhile.
 */
import { MixtabError } from '../../src/contract/errors.ts';
import { type ExpertIndex, type LayerIndex, layerIndex } from '../../src/contract/ids.ts';
import { type Dispatch, encodePass, type Slice, submit } from '../compute/gpu/dispatch.ts';
import type { Activations } from '../compute/gpu/ops/context.ts';
import type { Readback } from '../compute/gpu/readback.ts';
import { readStalledLayer } from '../compute/gpu/step-state.ts';
import type { ExpertCache, Prediction } from '../experts/expert-cache.ts';
import { distinctExperts, encodeGroups } from '../experts/grouping.ts';
import type { OnRouterLogits } from '../experts/likelihood-publisher.ts';
import { predictionOf, TRACE_STRIDE, traceOf } from '../model/buffers.ts';
import { type DecodeProgram, decodeProgram, type Model, type PredictionDepth } from '../model/forward.ts';
import { clearExpertOutputs } from '../model/moe-layer.ts';
import { abortable } from './abortable.ts';

/** Tokens under way beside the one that is waited for: hides the time of readback and submission. */
const PIPELINE_DEPTH = 2;
/** Where experts are missing in more than this share of the layers, a token goes layer by layer. */
const LAYERWISE_THRESHOLD = 1 / 4;

export interface DecodeInputs {
  model: Model;
  experts: ExpertCache;
  readback: Readback;
  /** Asked between layers; true ends the token with `aborted`. */
  stopped: () => boolean;
  /** Told what the routers find likely, where a token goes layer by layer. */
  onRouterLogits?: OnRouterLogits;
  /** What is made of the last layer's residual, and where it writes its result; default: the sampler. */
  head?: { dispatches: (model: Model, residual: Activations) => Dispatch[]; result: Slice };
}

/** A token on its way: the sampler's result, state and trace, and what was guessed of the layers' choices where that was asked for. */
type InFlightToken = Promise<ArrayBuffer[]>;

/** Where a token waits: its experts of this layer are chosen, and maybe guessed what the layers behind will choose. */
interface Stall {
  layer: LayerIndex;
  selectedExperts: Uint32Array;
  predictions: readonly Prediction[];
}

/** Decodes the tokens of one answer, one after another. */
export class Decoder {
  readonly #inFlight: InFlightToken[] = [];
  /** Tokens in the KV cache once everything submitted is done. */
  #positions: number;
  /** Layers in which the last token missed experts; before the first one, those in which it will, at a guess. */
  #missedLayers: number;
  readonly #result: Slice;
  /** Programs by the cache buffers they were recorded with: a cache that grows gets new ones. */
  readonly #programs: WeakMap<Model['kvCache']['layers'], DecodeProgram>;

  /** @param positions tokens in the KV cache; the next one's id is in the token buffer, its position in the state */
  constructor(
    private readonly inputs: DecodeInputs,
    positions: number,
  ) {
    this.#positions = positions;
    this.#missedLayers = inputs.experts.layersToMiss(inputs.model.config.expertsPerToken);
    this.#result = inputs.head?.result ?? inputs.model.buffers.sampleResult;
    this.#programs = inputs.head ? new WeakMap() : samplerPrograms;
  }

  /**
   * Computes the next token.
   * @param more how many further tokens may be computed after it, at most
   * @returns what the head left: by default the sampler's result as `workers/compute/gpu/ops/sample.ts` lays it out
   */
  async nextToken(more: number): Promise<ArrayBuffer> {
    try {
      return await this.#next(more);
    } catch (error) {
      const { model, experts } = this.inputs;
      experts.cancel();
      clearExpertOutputs(model.ctx.pipelines.device, model.buffers);
      throw error;
    }
  }

  async #next(more: number): Promise<ArrayBuffer> {
    if (this.#inFlight.length === 0 && this.#missedLayers > 0) return this.#decodeSerial();
    const ahead = Math.min(more, PIPELINE_DEPTH);
    while (this.#inFlight.length <= ahead) await this.#submitWhole();
    const [result, state, trace] = await this.#inFlight.shift()!;
    const stall = this.#stallIn(state, trace);
    const missed = this.#recordPassedLayers(trace, 0, stall);
    if (!stall) return result;
    // The tokens behind a stalled one did nothing: they are submitted again when it is done.
    this.#positions -= this.#inFlight.length;
    await this.drain();
    this.#clearStall();
    return this.#resume(stall, missed);
  }

  /** The experts that the last token chose, as the GPU left them; for when nothing is under way. */
  async trace(): Promise<Uint32Array[]> {
    const { model, readback } = this.inputs;
    const { config, ctx, buffers } = model;
    const [trace] = await readback.submit(ctx.pipelines.device.createCommandEncoder(), [buffers.trace]);
    return Array.from({ length: config.layerCount }, (_, l) => this.#selectedExpertsIn(trace, l));
  }

  /** Waits for tokens that were computed ahead and that nobody wants any more. */
  async drain(): Promise<void> {
    await Promise.all(this.#inFlight);
    this.#inFlight.length = 0;
  }

  async #submitWhole(): Promise<void> {
    const { model, readback } = this.inputs;
    const { buffers } = model;
    this.#positions++;
    const { whole } = await this.#programFor();
    this.#inFlight.push(readback.submit(this.#encodePass(whole), [this.#result, buffers.state.slice, buffers.trace]));
  }

  /** A token that none is submitted behind, since experts will be missing. */
  async #decodeSerial(): Promise<ArrayBuffer> {
    this.#positions++;
    const { experts } = this.inputs;
    const { start, withPredictions } = await this.#programFor();
    if (this.#isLayerwise(this.#missedLayers)) {
      const depth = experts.predictionDepth;
      return this.#resume(await this.#untilSelection(start(depth), layerIndex(0), depth), 0);
    }
    const { result, stall, missed } = await this.#untilStall(withPredictions, 0);
    if (stall) return this.#resume(stall, missed);
    this.#missedLayers = missed;
    return result;
  }

  /**
   * Loads what is missing where a token waits and computes the rest of it, whatever else is missing further on.
   * @param missed layers of this token that missed experts before
   */
  async #resume(stall: Stall, missed: number): Promise<ArrayBuffer> {
    const { experts, model, stopped } = this.inputs;
    let waited = false;
    for (;;) {
      const { layer, selectedExperts } = stall;
      if (stopped()) throw new MixtabError('aborted', 'Stopped.');
      const program = await this.#programFor();
      const { missing, prefetchHits } = experts.recordAccess(layer, selectedExperts);
      if (missing > 0) waited = true;
      if (missing + prefetchHits > 0) missed++;
      const left = await this.#runAsTheyCome(stall, program.experts(layer));
      const next = layerIndex(layer + 1);
      if (next < model.config.layerCount && this.#isLayerwise(Math.max(missed, this.#missedLayers))) {
        const depth = experts.predictionDepth;
        stall = await this.#untilSelection([...left, ...program.untilNextChoice(layer, depth)], next, depth);
        continue;
      }
      const rest = await this.#untilStall([...left, ...program.untilEnd(layer)], next);
      missed += rest.missed;
      if (!rest.stall) {
        this.#missedLayers = missed;
        if (waited) experts.countStall();
        return rest.result;
      }
      stall = rest.stall;
    }
  }

  /**
   * Loads the chosen experts of a layer that are missing. Each is computed as soon as it is there, the resident ones while the others
   * are read.
   * @param dispatches the layer's experts, as far as they are in the groups
   * @returns what is left to be submitted of them
   */
  async #runAsTheyCome({ layer, selectedExperts, predictions }: Stall, dispatches: Dispatch[]): Promise<Dispatch[]> {
    const { experts, stopped } = this.inputs;
    const chosen = distinctExperts(selectedExperts);
    const isResident = (expert: ExpertIndex): boolean => experts.slotOf(layer, expert) !== undefined;
    const resident = chosen.filter(isResident);
    const missing = chosen.filter((expert) => !isResident(expert));
    const brought = experts.load(layer, chosen);
    experts.prefetch(predictions); // behind what is needed
    if (resident.length > 0) {
      this.#writeGroups(layer, selectedExperts, resident);
      if (missing.length === 0) return dispatches;
      this.#submit(dispatches);
    }
    let left = missing.length;
    const runs = missing.map(async (expert) => {
      await abortable(brought[chosen.indexOf(expert)], stopped);
      this.#writeGroups(layer, selectedExperts, [expert]);
      left--;
      if (left > 0) this.#submit(dispatches);
    });
    // All of them have to have ended, one way or the other: nothing may be submitted behind what comes next.
    const failed = (await Promise.allSettled(runs)).find((run) => run.status === 'rejected');
    if (failed) throw failed.reason;
    return dispatches;
  }

  /** Makes `experts` those that the layer's dispatches compute. */
  #writeGroups(layer: LayerIndex, selectedExperts: Uint32Array, experts: readonly ExpertIndex[]): void {
    const { model, experts: cache } = this.inputs;
    const groups = experts.map((expert) => ({ expert, assignments: [selectedExperts.indexOf(expert)] }));
    const words = encodeGroups(groups, (expert) => cache.slotOf(layer, expert)!);
    model.ctx.pipelines.device.queue.writeBuffer(model.buffers.groups.buffer, 0, words);
  }

  #submit(dispatches: readonly Dispatch[]): void {
    submit(this.inputs.model.ctx.pipelines.device, dispatches, 'decode');
  }

  #isLayerwise(layers: number): boolean {
    return layers > LAYERWISE_THRESHOLD * this.inputs.model.config.layerCount;
  }

  /**
   * Runs what is left of a token, which may stall again.
   * @param first the first layer whose experts are chosen on the way
   * @returns `missed`: layers passed whose experts were not resident before this token
   */
  async #untilStall(
    dispatches: readonly Dispatch[],
    first: number,
  ): Promise<{ result: ArrayBuffer; stall: Stall | undefined; missed: number }> {
    const { model, readback } = this.inputs;
    const { trace, predictions: predicted, state } = model.buffers;
    const [result, ...marks] = await readback.submit(this.#encodePass(dispatches), [
      this.#result,
      state.slice,
      trace,
      predicted,
    ]);
    const stall = this.#stallIn(marks[0], marks[1]);
    const missed = this.#recordPassedLayers(marks[1], first, stall);
    if (!stall) return { result, stall, missed };
    if (stall.layer < first) throw new MixtabError('internal', 'A step stalled although its experts were loaded.');
    this.#clearStall();
    const predictions = this.#layersAfter(stall.layer, 1).map((l) =>
      toPrediction(l, this.#selectedExpertsIn(marks[2], l)),
    );
    return { result, stall: { ...stall, predictions }, missed };
  }

  #clearStall(): void {
    this.inputs.model.buffers.state.clearStall();
  }

  /** Where the token that left this state stalled; undefined where it is done. */
  #stallIn(state: ArrayBuffer, trace: ArrayBuffer): Stall | undefined {
    const layer = readStalledLayer(state);
    if (layer === undefined) return undefined;
    return { layer, selectedExperts: this.#selectedExpertsIn(trace, layer), predictions: [] };
  }

  /** @param trace every layer's choices, or what was guessed of them */
  #selectedExpertsIn(trace: ArrayBuffer, layer: number): Uint32Array {
    return new Uint32Array(trace, layer * TRACE_STRIDE, this.inputs.model.config.expertsPerToken);
  }

  /**
   * Tells the cache what the layers from `first` on used, up to the one that stalled.
   * @returns how many of them had experts that came by prediction
   */
  #recordPassedLayers(trace: ArrayBuffer, first: number, stall: Stall | undefined): number {
    const { model, experts } = this.inputs;
    let predicted = 0;
    for (let l = first; l < (stall?.layer ?? model.config.layerCount); l++) {
      if (experts.recordAccess(layerIndex(l), this.#selectedExpertsIn(trace, l)).prefetchHits > 0) predicted++;
    }
    return predicted;
  }

  /** So many of the layers behind `layer`, as far as there are any. */
  #layersAfter(layer: LayerIndex, count: number): LayerIndex[] {
    return Array.from({ length: count }, (_, n) => layerIndex(layer + 1 + n)).filter(
      (l) => l < this.inputs.model.config.layerCount,
    );
  }

  /** Runs up to the choice of `layer`'s experts, with the guesses of `depth` layers after it. */
  async #untilSelection(dispatches: readonly Dispatch[], layer: LayerIndex, depth: PredictionDepth): Promise<Stall> {
    const { model, readback, onRouterLogits } = this.inputs;
    const { config, buffers } = model;
    const wanted: Slice[] = [traceOf(buffers, layer, config.expertsPerToken)];
    if (onRouterLogits) wanted.push({ ...buffers.routerLogits.slice, size: config.expertCount * 4 });
    const predictedLayers = this.#layersAfter(layer, depth);
    for (const l of predictedLayers) wanted.push(predictionOf(buffers, l, config.expertsPerToken));
    const [choices, ...more] = await readback.submit(this.#encodePass(dispatches), wanted);
    if (onRouterLogits) onRouterLogits(layer, new Float32Array(more.shift()!));
    return {
      layer,
      selectedExperts: new Uint32Array(choices),
      predictions: predictedLayers.map((l, i) => toPrediction(l, new Uint32Array(more[i]))),
    };
  }

  #encodePass(dispatches: readonly Dispatch[]): GPUCommandEncoder {
    return encodePass(this.inputs.model.ctx.pipelines.device, dispatches, 'decode');
  }

  /** The program for a cache that holds all tokens submitted so far. */
  async #programFor(): Promise<DecodeProgram> {
    const { model, head } = this.inputs;
    await model.kvCache.grow(this.#positions);
    const recorded = this.#programs.get(model.kvCache.layers);
    if (recorded) return recorded;
    const program = decodeProgram(model, head?.dispatches);
    this.#programs.set(model.kvCache.layers, program);
    return program;
  }
}

const toPrediction = (layer: LayerIndex, selectedExperts: Uint32Array): Prediction => ({
  layer,
  experts: distinctExperts(selectedExperts),
});

/** Programs that end with the sampler, kept from answer to answer. */
const samplerPrograms = new WeakMap<Model['kvCache']['layers'], DecodeProgram>();
