import type { LayerIndex } from '../../../../src/contract/ids.ts';
import type { ModelConfig } from '../../../../src/contract/import-api.ts';
import type { Slice } from '../dispatch.ts';
import type { ExpertBank, OpContext } from '../ops/context.ts';
import type { StepBuffers } from './buffers.ts';
import type { KvCache } from './kv-cache.ts';
import type { PrefillBuffers } from './prefill-buffers.ts';
import type { DenseWeights } from './weights.ts';

/** A model on the GPU: everything that the forward pass reads and writes. */
export interface Model {
  config: ModelConfig;
  ctx: OpContext;
  weights: DenseWeights;
  kvCache: KvCache;
  /** f32[kvCache.limit, ropeDimensionCount / 2, 2] of (cos, sin) */
  ropeTable: Slice;
  buffers: StepBuffers;
  prefillBuffers: PrefillBuffers;
  /** u32[layerCount, expertCount]: slot or NO_SLOT */
  slotTable: Slice;
  /** The expert slots of a layer. */
  banks(layer: LayerIndex): readonly ExpertBank[];
}
