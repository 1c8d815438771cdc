/** The whole engine with kernel variants for GPUs, against float64. Forced here, because software adapters use others. */
import { describe, expect, it, vi } from 'vitest';
import type { KernelChoice } from '../compute/gpu/variants/kernel-variants.ts';
import { AdapterMemory } from '../store/adapter-memory.ts';
import { ComputeLoader } from './compute-loader.ts';
import { TYPE_MODELS } from './exactness-models-testing.ts';
import { expectNearFloat64 } from './exactness-testing.ts';
import { engineWith, GpuEngine } from './testing.ts';

let forced: Partial<KernelChoice> = {};
let memory: AdapterMemory;
/** Forces the variants and checks them, as on a GPU. */
const loader = new ComputeLoader((gpu) => {
  memory = new AdapterMemory('forced variants', 'mixtab-test-adapters');
  vi.spyOn(memory, 'get').mockResolvedValue(undefined);
  vi.spyOn(memory, 'set').mockResolvedValue();
  return { ...gpu, memory, checksKernels: true, kernels: { ...gpu.kernels, ...forced } };
});

describe('forced variants agree with float64', () => {
  it.each([{ vector: 'staged-64x4', few: 'staged', batch: 'tiled-64x32' }] as const)(
    '$vector, $few, $batch',
    { timeout: 180_000 },
    async (kernels) => {
      forced = kernels;
      const { store, modelId } = await engineWith(TYPE_MODELS['mixed types']);
      await expectNearFloat64({ engine: new GpuEngine(store, undefined, undefined, loader), store, modelId }, 'gpu');
      expect(memory.set).toHaveBeenCalledExactlyOnceWith(expect.stringContaining('self-test'), 'passed');
    },
  );
});
