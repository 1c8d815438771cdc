/** While a model is being imported: tells the import which experts its routers find likely, so that these come next. */
import { type LayerIndex, layerIndex } from '../../src/contract/ids.ts';
import { expertKey, type ModelManifest } from '../format/manifest.ts';
import { LikelyRecords } from '../store/record-requests.ts';
import { ExpertLikelihood } from './likelihood.ts';

/** One token's router logits, [experts], of a layer. */
export type OnRouterLogits = (layer: LayerIndex, logits: Float32Array) => void;

/** The list is short (256 keys in Mixtral), and of no use more often than records are begun. */
const PUBLISH_EVERY_MS = 200;

/** Ends with {@link destroy}. */
export class LikelihoodPublisher {
  readonly #likelihood: ExpertLikelihood;
  readonly #records: LikelyRecords;
  readonly #last: LayerIndex;
  #publishedAt = Number.NEGATIVE_INFINITY;

  constructor({ id, config: { layerCount, expertCount } }: ModelManifest) {
    this.#likelihood = new ExpertLikelihood(layerCount, expertCount);
    this.#records = new LikelyRecords(id);
    this.#last = layerIndex(layerCount - 1);
  }

  readonly note: OnRouterLogits = (layer, logits) => {
    this.#likelihood.note(layer, logits);
    if (layer !== this.#last && performance.now() - this.#publishedAt < PUBLISH_EVERY_MS) return;
    this.#publishedAt = performance.now();
    this.#records.publish(this.#likelihood.ranked().map(({ layer: l, expert }) => expertKey(l, expert)));
  };

  destroy(): void {
    this.#records.close();
  }
}
