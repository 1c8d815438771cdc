/** The forward pass of the model in float64, one token at a time. */
import { attention } from './attention.ts';
import { roundToHalf } from './half.ts';
import { matvec } from './matmul.ts';
import type { ReferenceExpert, ReferenceLayer, ReferenceModel } from './model.ts';
import { rmsNorm } from './norm.ts';
import { rope } from './rope.ts';
import { type Route, route } from './router.ts';
import { logProbabilities } from './sample.ts';

/** One token in one layer. */
export interface ReferenceLayerActivations {
  /** `[embeddingLength]`: the residual before the layer, after attention, and after the layer. */
  before: Float64Array;
  attended: Float64Array;
  residual: Float64Array;
  /** `[expertCount]` */
  routerLogits: Float64Array;
  /** Best first, with their weights and weighted outputs, `[embeddingLength]` each. */
  selectedExperts: readonly number[];
  weights: readonly number[];
  experts: Float64Array[];
  /** `[vocabularySize]`: log-probabilities if the output head followed this layer. */
  logprobs: Float64Array;
}

export interface ReferencePassOptions {
  /**
   * How the KV cache stores a number. Default: rounded to f16, as both backends do. llama.cpp stores f32 in our tests,
   * for which the identity is close enough.
   */
  toCache?: (x: number) => number;
  /** Selects the experts of a token. Default: as the model does, {@link route}. */
  route?: ReferenceRoute;
}

/** Selects the experts of one token in one layer. */
export type ReferenceRoute = (logits: Float64Array, layer: number, position: number) => Route;

/** One sequence of tokens in a model: adds a token at a time and keeps the keys and values of those before it. */
export class ReferencePass {
  /** Per layer: `[positions, kvHeadCount, headDim]` each. */
  readonly #cache: { keys: number[]; values: number[] }[];
  readonly #toCache: (x: number) => number;
  readonly #route: ReferenceRoute;
  #position = 0;
  #smallestRouterMargin = Number.POSITIVE_INFINITY;

  constructor(
    private readonly model: ReferenceModel,
    { toCache = roundToHalf, route: select }: ReferencePassOptions = {},
  ) {
    this.#cache = model.layers.map(() => ({ keys: [], values: [] }));
    this.#toCache = toCache;
    this.#route = select ?? ((logits) => route(logits, model.config.expertsPerToken));
  }

  /**
   * The smallest difference so far between the logits of the last selected expert and the best one that was not
   * selected. If it is below the rounding error of f32, an f32 backend may take the other expert.
   */
  get smallestRouterMargin(): number {
    return this.#smallestRouterMargin;
  }

  /**
   * Takes the token at the next position through all layers.
   * @returns the residual after the last layer, `[embeddingLength]`
   */
  add(token: number): Float64Array {
    return this.#add(token, () => {});
  }

  /** Takes the token at the next position through all layers. @returns what it is in each of them */
  observe(token: number): ReferenceLayerActivations[] {
    const layers: ReferenceLayerActivations[] = [];
    this.#add(token, (layer) => layers.push({ ...layer, logprobs: this.#logprobs(layer.residual) }));
    return layers;
  }

  #add(token: number, onLayer: (layer: Omit<ReferenceLayerActivations, 'logprobs'>) => void): Float64Array {
    const { config, embedding, layers } = this.model;
    const { embeddingLength } = config;
    const residual = Float64Array.from(embedding.subarray(token * embeddingLength, (token + 1) * embeddingLength));
    for (const [index, layer] of layers.entries()) {
      const before = residual.slice();
      addTo(residual, this.#attend(residual, layer, index));
      const attended = residual.slice();
      const mix = this.#mixExperts(residual, layer, index);
      const sum = new Float64Array(embeddingLength);
      for (const output of mix.experts) addTo(sum, output);
      addTo(residual, sum);
      onLayer({ before, attended, ...mix, residual: residual.slice() });
    }
    this.#position++;
    return residual;
  }

  /** Adds the token and returns the log-probabilities of the next one, `[vocabularySize]`. */
  next(token: number): Float64Array {
    return this.#logprobs(this.add(token));
  }

  #logprobs(residual: Float64Array): Float64Array {
    const { config, outputNorm, output } = this.model;
    const normed = rmsNorm(residual, outputNorm, config.embeddingLength, config.rmsNormEpsilon);
    return logProbabilities(matvec(output, normed));
  }

  /** `Wo attention(rope(Wq n), rope(Wk n), Wv n)` with `n = rmsnorm(residual)` */
  #attend(residual: Float64Array, layer: ReferenceLayer, index: number): Float64Array {
    const { config } = this.model;
    const { keys, values } = this.#cache[index];
    const normed = rmsNorm(residual, layer.attnNorm, config.embeddingLength, config.rmsNormEpsilon);
    const q = rope(matvec(layer.attnQ, normed), this.#position, config);
    for (const key of rope(matvec(layer.attnK, normed), this.#position, config)) keys.push(this.#toCache(key));
    for (const value of matvec(layer.attnV, normed)) values.push(this.#toCache(value));
    return matvec(layer.attnOutput, attention(q, keys, values, this.#position, config));
  }

  /** The selected experts for `n = rmsnorm(residual)`, and their weighted outputs. */
  #mixExperts(residual: Float64Array, layer: ReferenceLayer, index: number) {
    const { embeddingLength, rmsNormEpsilon } = this.model.config;
    const normed = rmsNorm(residual, layer.ffnNorm, embeddingLength, rmsNormEpsilon);
    const routerLogits = matvec(layer.router, normed);
    const { selectedExperts, weights } = this.#route(routerLogits, index, this.#position);
    this.#smallestRouterMargin = Math.min(this.#smallestRouterMargin, routerMargin(routerLogits, selectedExperts));
    const experts = selectedExperts.map((expert, rank) =>
      swiGlu(layer.expert(expert), normed).map((x) => x * weights[rank]),
    );
    return { routerLogits, selectedExperts, weights, experts };
  }
}

/** The network of one expert: `down(silu(gate x) * up x)` with `silu(a) = a / (1 + exp(-a))`. */
function swiGlu({ gate, up, down }: ReferenceExpert, x: Float64Array): Float64Array {
  const product = matvec(up, x);
  const hidden = matvec(gate, x).map((a, i) => (a / (1 + Math.exp(-a))) * product[i]);
  return matvec(down, hidden);
}

/** How far the last selected expert is ahead of the best other one; infinite if all are selected. */
function routerMargin(logits: Float64Array, selectedExperts: readonly number[]): number {
  const last = logits[selectedExperts[selectedExperts.length - 1]];
  const others = logits.filter((_, expert) => !selectedExperts.includes(expert));
  return last - others.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
}

function addTo(sum: Float64Array, terms: Float64Array): void {
  for (let i = 0; i < sum.length; i++) sum[i] += terms[i];
}
