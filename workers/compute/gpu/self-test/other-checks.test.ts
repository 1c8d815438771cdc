import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { layoutTensor, WEIGHT_TYPES } from '../../../format/weight-layout.ts';
import { FakeDevice, stubWebGpuConstants } from '../fake-device-testing.ts';
import { CheckBuffers, pseudoRandom, randomFloats } from './check.ts';
import { routerMatrix } from './other-checks.ts';

beforeEach(stubWebGpuConstants);
afterEach(() => void vi.unstubAllGlobals());

it('the router of many experts has clear favorites, so that no rounding decides', () => {
  const [experts, expertsPerToken, width] = [256, 8, 64];
  const layout = layoutTensor('router', WEIGHT_TYPES.F32, experts, width, 0);
  for (let seed = 0; seed < 100; seed++) {
    const buffers = new CheckBuffers(new FakeDevice(1e9) as unknown as GPUDevice);
    const input = Float64Array.from(randomFloats(pseudoRandom(seed), width));
    const { logits } = routerMatrix(buffers, layout, input, expertsPerToken);
    const sorted = [...logits].sort((a, b) => b - a).slice(0, expertsPerToken + 1);
    for (let i = 1; i < sorted.length; i++) expect(sorted[i - 1] - sorted[i]).toBeGreaterThan(1e-3);
  }
});
