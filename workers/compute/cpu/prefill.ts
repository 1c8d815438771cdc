/**
 * Computes a prompt: all its tokens go through one layer before the next, so that each expert is read once, however
 * many tokens select it. Products take the tokens in chunks, grouped by expert; a chunk's size changes no result.
 */
import { throwIfAborted } from '../../../src/contract/errors.ts';
import { type LayerIndex, layerIndex, type TokenId } from '../../../src/contract/ids.ts';
import { type ExpertGroup, groupByExpert } from '../../experts/grouping.ts';
import { prefetchAfter, wavesOf } from '../../experts/waves.ts';
import { abortable } from '../../store/abortable.ts';
import { addWeighted, CHUNK_TOKENS, type CpuModel, type OnSelectedExperts } from './cpu-model.ts';
import { ReusedFloats } from './reused-floats.ts';
import { type Route, selectExperts } from './router.ts';

export interface PrefillInputs {
  model: CpuModel;
  /** At least one. */
  tokens: readonly TokenId[];
  /** Position of the first of them. */
  position: number;
  onProgress: (tokensDone: number) => void;
  signal: AbortSignal;
  onSelectedExperts?: OnSelectedExperts;
}

/**
 * Takes tokens through all layers and adds them to the KV cache.
 * @returns their residuals after the last layer, f32[tokens, embeddingLength]
 * @throws MixtabError `aborted`, an error of reading an expert, or of a thread
 */
export async function prefill(inputs: PrefillInputs): Promise<Float32Array> {
  const { model, tokens, signal, onProgress } = inputs;
  const { forward, experts, config } = model;
  const prompt = new Prompt(inputs, forward.embed(tokens));
  try {
    for (let l = 0; l < config.layerCount; l++) {
      throwIfAborted(signal);
      if (l > 0) onProgress(Math.floor((tokens.length * l) / config.layerCount));
      await prompt.runLayer(layerIndex(l));
    }
  } catch (error) {
    experts.cancel();
    throw error;
  }
  onProgress(tokens.length);
  return prompt.residual;
}

/** The activations of a prompt on its way through the layers. */
class Prompt {
  /** f32[tokens, embeddingLength]: the inputs of a layer's experts. */
  readonly #normed: Float32Array;
  /** f32[tokens, embeddingLength]: the sum of the outputs of a layer's experts. */
  readonly #sums: Float32Array;
  /** Of a batch of assignments. */
  readonly #input = new ReusedFloats();
  readonly #output = new ReusedFloats();

  constructor(
    private readonly inputs: PrefillInputs,
    readonly residual: Float32Array,
  ) {
    this.#normed = new Float32Array(residual.length);
    this.#sums = new Float32Array(residual.length);
  }

  async runLayer(layer: LayerIndex): Promise<void> {
    const routes: Route[] = [];
    for (let first = 0; first < this.inputs.tokens.length; first += CHUNK_TOKENS) {
      routes.push(...(await this.#attendAndRoute(layer, first)));
    }
    await this.#runExperts(layer, routes);
    for (let i = 0; i < this.residual.length; i++) this.residual[i] += this.#sums[i];
    this.#sums.fill(0);
  }

  /** Attention and router for one chunk. @param first its first token @returns the experts of its tokens */
  async #attendAndRoute(layer: LayerIndex, first: number): Promise<Route[]> {
    const { model, position, signal, onSelectedExperts } = this.inputs;
    const { forward, config, routerOptions, onRouterLogits } = model;
    const { embeddingLength, expertCount, expertsPerToken } = config;
    await model.messageYield.ifDue();
    throwIfAborted(signal);
    const residual = this.residual.subarray(first * embeddingLength, (first + CHUNK_TOKENS) * embeddingLength);
    await forward.attend(layer, position + first, residual, true);
    const { normed, logits } = forward.host.route(layer, residual, true);
    this.#normed.set(normed, first * embeddingLength);
    return Array.from({ length: residual.length / embeddingLength }, (_, t) => {
      const own = logits.subarray(t * expertCount, (t + 1) * expertCount);
      onRouterLogits?.(layer, own);
      const at = position + first + t;
      const route = selectExperts({ logits: own, layer, position: at, expertsPerToken, options: routerOptions });
      onSelectedExperts?.(first + t, layer, route.selectedExperts);
      return route;
    });
  }

  async #runExperts(layer: LayerIndex, routes: readonly Route[]): Promise<void> {
    const { model, signal } = this.inputs;
    const { experts } = model;
    const groups = groupByExpert(routes.flatMap(({ selectedExperts }) => [...selectedExperts]));
    const distinct = groups.map(({ expert }) => expert);
    const waves = wavesOf(model, layer, distinct, true);
    experts.recordAccess(layer, distinct);
    for (const [index, wave] of waves.entries()) {
      const loaded = experts.loadAll(layer, wave);
      prefetchAfter(model, layer, waves.slice(index + 1), routes.length);
      await abortable(signal, loaded);
      const own = groups.filter(({ expert }) => wave.includes(expert));
      for (const batch of batchesOf(own)) await this.#runBatch(layer, batch, routes);
    }
    experts.cancelPrefetches(layer);
  }

  /** Runs experts on at most a chunk of assignments, and adds their weighted outputs to the sums. */
  async #runBatch(layer: LayerIndex, batch: readonly ExpertGroup[], routes: readonly Route[]): Promise<void> {
    const { model, signal } = this.inputs;
    const { embeddingLength: width, expertsPerToken } = model.config;
    await model.messageYield.ifDue();
    throwIfAborted(signal);
    const assignments = batch.flatMap((group) => group.assignments);
    const input = this.#input.take(assignments.length * width);
    for (const [row, assignment] of assignments.entries()) {
      const token = Math.floor(assignment / expertsPerToken);
      input.set(this.#normed.subarray(token * width, (token + 1) * width), row * width);
    }
    const groups = batch.map(({ expert, assignments: { length } }) => ({
      slot: model.experts.slotOf(layer, expert)!,
      count: length,
    }));
    const output = this.#output.take(input.length);
    await model.forward.runExperts(groups, input, output, true);
    for (const [row, assignment] of assignments.entries()) {
      const token = Math.floor(assignment / expertsPerToken);
      const weight = routes[token].weights[assignment % expertsPerToken];
      if (weight !== 0) addWeighted(this.#sums, token * width, output, row * width, width, weight);
    }
  }
}

/** Cuts groups into batches of at most a chunk of assignments. */
function batchesOf(groups: readonly ExpertGroup[]): ExpertGroup[][] {
  const batches: ExpertGroup[][] = [];
  let room = 0;
  for (const { expert, assignments } of groups) {
    for (let start = 0; start < assignments.length; ) {
      if (room === 0) {
        batches.push([]);
        room = CHUNK_TOKENS;
      }
      const some = assignments.slice(start, start + room);
      batches.at(-1)!.push({ expert, assignments: some });
      start += some.length;
      room -= some.length;
    }
  }
  return batches;
}
