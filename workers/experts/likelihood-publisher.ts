/** Tells a running import which experts the routers find likely, so that it downloads these next. */
import { type LayerIndex, layerIndex } from '../../src/contract/ids.ts';
import { expertKey, type ModelManifest } from '../format/manifest.ts';
import { LikelyRecords } from '../store/record-requests.ts';
import { ExpertLikelihood } from './likelihood.ts';

/** Receives one token's router logits of a layer, [experts]. */
export type OnRouterLogits = (layer: LayerIndex, logits: Float32Array) => void;

/** The list is short (256 keys for Mixtral 8x7B). Publishing it more often than records begin would be of no use. */
const PUBLISH_EVERY_MS = 200;

/** Publishes until {@link destroy}. */
export class LikelihoodPublisher {
  readonly #likelihood: ExpertLikelihood;
  readonly #records: LikelyRecords;
  readonly #lastLayer: LayerIndex;
  #publishedAt = Number.NEGATIVE_INFINITY;

  constructor({ id, config: { layerCount, expertCount } }: ModelManifest) {
    this.#likelihood = new ExpertLikelihood(layerCount, expertCount);
    this.#records = new LikelyRecords(id);
    this.#lastLayer = layerIndex(layerCount - 1);
  }

  /** Adds a layer's logits. Publishes after the last layer of a token, and otherwise at most every 200 ms. */
  readonly note: OnRouterLogits = (layer, logits) => {
    this.#likelihood.note(layer, logits);
    if (layer !== this.#lastLayer && performance.now() - this.#publishedAt < PUBLISH_EVERY_MS) return;
    this.#publishedAt = performance.now();
    this.#records.publish(this.#likelihood.ranked().map(({ layer: l, expert }) => expertKey(l, expert)));
  };

  destroy(): void {
    this.#records.close();
  }
}
