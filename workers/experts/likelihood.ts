/**
 * How likely each expert is to be selected, from the routers' probabilities. Unlike use counts, probabilities also
 * distinguish experts that were never selected. A running import uses this order to download experts that have not been
 * requested yet. Pure.
 */
import { type ExpertIndex, expertIndex, type LayerIndex, layerIndex } from '../../src/contract/ids.ts';
import { AgedMean } from './aged-mean.ts';

/** Tokens after which a probability counts half: a text keeps its subject for some time. */
const HALF_LIFE = 64;

/** The mean probability that the routers give each expert. Recent tokens count more than older ones. */
export class ExpertLikelihood {
  /** Mean probabilities, [layers, experts]. */
  readonly #means: AgedMean[];

  constructor(
    readonly layerCount: number,
    readonly expertCount: number,
  ) {
    this.#means = Array.from({ length: layerCount * expertCount }, () => new AgedMean(HALF_LIFE));
  }

  /** Adds one token's router logits of a layer, [experts]. */
  note(layer: LayerIndex, logits: Float32Array): void {
    const max = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
    const exponentials = Array.from(logits, (logit) => Math.exp(logit - max));
    const total = exponentials.reduce((a, b) => a + b, 0);
    for (const [expert, exponential] of exponentials.entries()) {
      this.#means[layer * this.expertCount + expert].add(exponential / total);
    }
  }

  /** The expert's mean probability; 1 / experts if nothing is known about its layer. */
  of(layer: LayerIndex, expert: ExpertIndex): number {
    return this.#means[layer * this.expertCount + expert].value ?? 1 / this.expertCount;
  }

  /** All experts, most likely first; equally likely ones in the order of their layers. */
  ranked(): { layer: LayerIndex; expert: ExpertIndex }[] {
    return Array.from({ length: this.#means.length }, (_, id) => {
      const layer = layerIndex(Math.floor(id / this.expertCount));
      const expert = expertIndex(id % this.expertCount);
      return { layer, expert, likelihood: this.of(layer, expert) };
    })
      .sort((a, b) => b.likelihood - a.likelihood)
      .map(({ layer, expert }) => ({ layer, expert }));
  }
}
