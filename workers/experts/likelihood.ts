/**
 * How likely a token is to choose each expert, from the probabilities that the routers gave: what was never chosen differs in
 * these too. Says in which order a running download should bring what nobody has asked for yet. Pure.
 */
import { type ExpertIndex, expertIndex, type LayerIndex, layerIndex } from '../../src/contract/ids.ts';
import { AgedMean } from './aged-mean.ts';

/** Tokens after which a probability counts half: a text keeps its subject for some time. */
const HALF_LIFE = 64;

export class ExpertLikelihood {
  /** Probabilities, [layers, experts]. */
  readonly #means: AgedMean[];

  constructor(
    readonly layerCount: number,
    readonly expertCount: number,
  ) {
    this.#means = Array.from({ length: layerCount * expertCount }, () => new AgedMean(HALF_LIFE));
  }

  /** Notes one token's router logits, [experts], of a layer. */
  note(layer: LayerIndex, logits: Float32Array): void {
    const most = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
    const exponentials = Array.from(logits, (logit) => Math.exp(logit - most));
    const total = exponentials.reduce((a, b) => a + b, 0);
    for (const [expert, exponential] of exponentials.entries())
      this.#means[layer * this.expertCount + expert].add(exponential / total);
  }

  /** Mean probability; the same for all experts of a layer of which nothing is known. */
  of(layer: LayerIndex, expert: ExpertIndex): number {
    return this.#means[layer * this.expertCount + expert].value ?? 1 / this.expertCount;
  }

  /** All experts, likeliest first; equally likely ones in the order of the layers. */
  ranked(): { layer: LayerIndex; expert: ExpertIndex }[] {
    return Array.from({ length: this.#means.length }, (_, id) => ({
      layer: layerIndex(Math.floor(id / this.expertCount)),
      expert: expertIndex(id % this.expertCount),
    }))
      .map((place) => ({ place, likelihood: this.of(place.layer, place.expert) }))
      .sort((a, b) => b.likelihood - a.likelihood)
      .map(({ place }) => place);
  }
}
