/**
 * One token a step, in one of two ways (docs/streaming.md):
 *
 * - *whole*: the token is submitted at once, and the next ones after it before its result is back. Each brings one
 *   small readback: sampled token, stall mark, every layer's chosen experts.
 * - *by layers*: a readback after each router tells which experts to load, and which the next layer will probably
 *   want, so that these are read while this layer computes. For tokens whose experts are not all resident.
 */
import { MixtabError } from '../../src/contract/errors.ts';
import { type LayerIndex, layerIndex } from '../../src/contract/ids.ts';
import type { ExpertCache } from '../experts/expert-cache.ts';
import { distinctExperts } from '../experts/residency.ts';
import { type Dispatch, encode, type Slice } from '../gpu/dispatch.ts';
import type { Rows } from '../gpu/ops/context.ts';
import type { Readback } from '../gpu/readback.ts';
import { STATE } from '../gpu/step-state.ts';
import { predictionOf, TRACE_STRIDE, traceOf } from '../model/buffers.ts';
import { type DecodeProgram, decodeProgram, type Model } from '../model/forward.ts';
import { orStopped } from './stopping.ts';

/** Tokens under way beside the one that is waited for: hides the time of readback and submission. */
const TOKENS_AHEAD = 2;

export interface DecodeInputs {
  model: Model;
  experts: ExpertCache;
  readback: Readback;
  /** Asked between layers; true ends the token with `aborted`. */
  stopped: () => boolean;
  /** What is made of the last layer's residual, and where it writes its result; default: the sampler. */
  head?: { dispatches: (model: Model, residual: Rows) => Dispatch[]; result: Slice };
}

/** A whole token on its way: the sampler's result, state and trace. */
type Flight = Promise<ArrayBuffer[]>;

/** Decodes the tokens of one answer, one after another. */
export class Decoder {
  readonly #flights: Flight[] = [];
  /** Tokens in the KV cache once everything submitted is done. */
  #positions: number;
  /** The last token found all its experts resident. */
  #calm: boolean;
  readonly #result: Slice;
  /** Programs by the cache buffers they were recorded with: a cache that grows gets new ones. */
  readonly #programs: WeakMap<Model['kvCache']['layers'], DecodeProgram>;

  /** @param positions tokens in the KV cache; the next one's id is in the token buffer, its position in the state */
  constructor(
    private readonly inputs: DecodeInputs,
    positions: number,
  ) {
    this.#positions = positions;
    this.#calm = inputs.experts.complete;
    this.#result = inputs.head?.result ?? inputs.model.buffers.sampleResult;
    this.#programs = inputs.head ? new WeakMap() : samplerPrograms;
  }

  /**
   * Computes the next token.
   * @param more how many further tokens may be computed after it, at most
   * @returns what the head left: by default the sampler's result as `workers/gpu/ops/sample.ts` lays it out
   */
  async next(more: number): Promise<ArrayBuffer> {
    if (this.#flights.length === 0 && !this.#calm) return this.#byLayers();
    const ahead = Math.min(more, TOKENS_AHEAD);
    while (this.#flights.length <= ahead) this.#flights.push(this.#submitWhole());
    const [result, state, trace] = await this.#flights.shift()!;
    const { config } = this.inputs.model;
    const stalled = new Uint32Array(state)[STATE.stalled];
    const passed = stalled === 0 ? config.layerCount : stalled - 1;
    const choicesOf = (l: number) => new Uint32Array(trace, l * TRACE_STRIDE, config.expertsPerToken);
    for (let l = 0; l < passed; l++) this.inputs.experts.use(layerIndex(l), choicesOf(l));
    if (stalled === 0) return result;
    await this.#clearStall();
    return this.#fromLayer(layerIndex(stalled - 1), choicesOf(stalled - 1));
  }

  /** The experts that the last token chose, as the GPU left them; for when nothing is under way. */
  async trace(): Promise<Uint32Array[]> {
    const { model, readback } = this.inputs;
    const { config, ctx, buffers } = model;
    const [trace] = await readback.submit(ctx.pipelines.device.createCommandEncoder(), [buffers.trace]);
    return Array.from({ length: config.layerCount }, (_, l) => new Uint32Array(trace, l * TRACE_STRIDE, config.expertsPerToken));
  }

  /** Waits for tokens that were computed ahead and that nobody wants any more. */
  async drain(): Promise<void> {
    await Promise.all(this.#flights);
    this.#flights.length = 0;
  }

  #submitWhole(): Flight {
    const { model, readback } = this.inputs;
    const { buffers } = model;
    this.#positions++;
    return readback.submit(this.#record(this.#programFor().whole), [this.#result, buffers.state, buffers.trace]);
  }

  /** The tokens behind a stalled one did nothing: they are submitted again when it is done. */
  async #clearStall(): Promise<void> {
    const { experts, model } = this.inputs;
    this.#positions -= this.#flights.length;
    await this.drain();
    experts.countStall();
    const { buffers, ctx } = model;
    ctx.pipelines.device.queue.writeBuffer(buffers.state.buffer, STATE.stalled * 4, new Uint32Array([0]));
  }

  async #byLayers(): Promise<ArrayBuffer> {
    this.#positions++;
    const first = layerIndex(0);
    const choices = await this.#untilChoice(this.#programFor().start, first);
    return this.#fromLayer(first, choices);
  }

  /** Goes on where layer `from` has chosen its experts. */
  async #fromLayer(from: LayerIndex, choices: Uint32Array): Promise<ArrayBuffer> {
    const { model, experts, readback, stopped } = this.inputs;
    const { layerCount } = model.config;
    const program = this.#programFor();
    let missed = 0;
    for (let l: number = from; l < layerCount; l++) {
      if (stopped()) throw new MixtabError('aborted', 'Stopped.');
      const layer = layerIndex(l);
      missed += experts.use(layer, choices).missing;
      await orStopped(experts.ensure(layer, distinctExperts(choices)), stopped);
      if (l + 1 < layerCount) choices = await this.#untilChoice(program.layers[l], layerIndex(l + 1));
    }
    this.#calm = missed === 0;
    const { buffers } = model;
    const [result, state] = await readback.submit(this.#record(program.layers[layerCount - 1]), [this.#result, buffers.state]);
    if (new Uint32Array(state)[STATE.stalled] !== 0) throw new MixtabError('internal', 'A step stalled although its experts were loaded.');
    return result;
  }

  /** Runs up to the choice of `layer`'s experts, and starts to read what the layer after it will probably want. */
  async #untilChoice(dispatches: readonly Dispatch[], layer: LayerIndex): Promise<Uint32Array> {
    const { model, experts, readback } = this.inputs;
    const { config, buffers } = model;
    const wanted: Slice[] = [traceOf(buffers, layer, config.expertsPerToken)];
    const next = layerIndex(layer + 1);
    if (next < config.layerCount) wanted.push(predictionOf(buffers, next, config.expertsPerToken));
    const [choices, prediction] = await readback.submit(this.#record(dispatches), wanted);
    // Read after what this layer itself still misses: the loader puts that first.
    if (prediction) experts.prefetch(next, distinctExperts(new Uint32Array(prediction)));
    return new Uint32Array(choices);
  }

  #record(dispatches: readonly Dispatch[]): GPUCommandEncoder {
    const encoder = this.inputs.model.ctx.pipelines.device.createCommandEncoder({ label: 'decode' });
    const pass = encoder.beginComputePass();
    encode(pass, dispatches);
    pass.end();
    return encoder;
  }

  /** The program for a cache that holds all tokens submitted so far. */
  #programFor(): DecodeProgram {
    const { model, head } = this.inputs;
    model.kvCache.grow(this.#positions);
    const recorded = this.#programs.get(model.kvCache.layers);
    if (recorded) return recorded;
    const program = decodeProgram(model, head?.dispatches);
    this.#programs.set(model.kvCache.layers, program);
    return program;
  }
}

/** Programs that end with the sampler, kept from answer to answer. */
const samplerPrograms = new WeakMap<Model['kvCache']['layers'], DecodeProgram>();
