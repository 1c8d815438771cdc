/** A model on the GPU with everything that generates with it: what loading makes and generating uses. */
import type { Bytes } from '../../src/contract/ids.ts';
import type { ExpertCache } from '../experts/expert-cache.ts';
import type { OnRouterLogits } from '../experts/likelihood-publisher.ts';
import type { ModelManifest } from '../format/manifest.ts';
import type { Model } from '../model/forward.ts';

export interface GpuModel {
  manifest: ModelManifest;
  model: Model;
  experts: ExpertCache;
  /** Wants to know what the routers find likely; of a model that is still being imported. */
  onRouterLogits?: OnRouterLogits;
  context: number;
  /** Expert slots over all layers. */
  slots: number;
  gpuBytes(): Bytes;
  destroy(): void;
}
