/** A model on the GPU: loading creates it, `GpuCompute` uses it. */
import type { Bytes } from '../../../src/contract/ids.ts';
import type { ExpertCache } from '../../experts/expert-cache.ts';
import type { OnRouterLogits } from '../../experts/likelihood-publisher.ts';
import type { Model } from './model/model.ts';

export interface GpuModel {
  model: Model;
  experts: ExpertCache;
  /** Receives router logits, to order the download of a model that is still being imported. Absent for other models. */
  onRouterLogits?: OnRouterLogits;
  /** Positions that the KV cache may hold. */
  context: number;
  /** Expert slots over all layers. */
  slots: number;
  /** The budget, unless the user has set it. */
  automaticBudget?: Bytes;
  /** The main memory that keeps experts, if there is any and the user has not set it. */
  automaticRamBudget?: Bytes;
  /** The buffers of the expert slots and of the KV cache as they were allocated at first. */
  buffers: readonly GPUBuffer[];
  /** GPU memory in use now. It grows with the KV cache. */
  gpuBytes(): Bytes;
  destroy(): void;
}
