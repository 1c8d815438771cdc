/**
 * How likely a token is to choose each expert, from the probabilities that the routers gave: what was never chosen differs in
 * these too. Says in which order a running download should bring what nobody has asked for yet. Pure.
 */
import { type ExpertIndex, expertIndex, type LayerIndex, layerIndex } from '../../src/contract/ids.ts';

/** Tokens after which a probability counts half: a text keeps its subject for some time. */
const HALF_LIFE = 64;
const KEEP = 0.5 ** (1 / HALF_LIFE);

export class ExpertLikelihood {
  /** Probabilities, aged, [layers, experts]; and the same sum of weights for each layer. */
  readonly #sums: Float64Array;
  readonly #weights: Float64Array;

  constructor(
    readonly layerCount: number,
    readonly expertCount: number,
  ) {
    this.#sums = new Float64Array(layerCount * expertCount);
    this.#weights = new Float64Array(layerCount);
  }

  /** Notes one token's router logits, [experts], of a layer. */
  note(layer: LayerIndex, logits: Float32Array): void {
    const most = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
    const exponentials = Array.from(logits.subarray(0, this.expertCount), (logit) => Math.exp(logit - most));
    const total = exponentials.reduce((a, b) => a + b, 0);
    this.#weights[layer] = this.#weights[layer] * KEEP + 1;
    for (const [expert, exponential] of exponentials.entries()) {
      const at = layer * this.expertCount + expert;
      this.#sums[at] = this.#sums[at] * KEEP + exponential / total;
    }
  }

  /** Mean probability; the same for all experts of a layer of which nothing is known. */
  of(layer: LayerIndex, expert: ExpertIndex): number {
    const weight = this.#weights[layer];
    return weight === 0 ? 1 / this.expertCount : this.#sums[layer * this.expertCount + expert] / weight;
  }

  /** All experts, likeliest first; equally likely ones in the order of the layers. */
  ranked(): { layer: LayerIndex; expert: ExpertIndex }[] {
    return Array.from({ length: this.#sums.length }, (_, id) => ({
      layer: layerIndex(Math.floor(id / this.expertCount)), expert: expertIndex(id % this.expertCount),
    }))
      .map((place) => ({ place, likelihood: this.of(place.layer, place.expert) }))
      .sort((a, b) => b.likelihood - a.likelihood)
      .map(({ place }) => place);
  }
}
