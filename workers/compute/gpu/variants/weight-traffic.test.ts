import { expect, it } from 'vitest';
import { layoutTensor, WEIGHT_TYPES } from '../../../format/weight-layout.ts';
import { defaultKernels, type KernelChoice } from './kernel-variants.ts';
import { layerTraffic } from './weight-traffic.ts';

const matrix = (rows: number, cols: number) => layoutTensor('w', WEIGHT_TYPES.Q4_K, rows, cols, 0);

/** A layer of Mixtral 8x7B in Q4_K. */
const MIXTRAL = {
  config: { expertCount: 8, expertsPerToken: 2 },
  layers: 32,
  matrices: {
    dense: [matrix(4096, 4096), matrix(1024, 4096), matrix(1024, 4096), matrix(4096, 4096)],
    gate: matrix(14336, 4096),
    up: matrix(14336, 4096),
    down: matrix(4096, 14336),
  },
};

/** Bytes that a prompt of Mixtral 8x7B reads, in GB. */
function gigabytes(kernels: KernelChoice, tokens: number) {
  const { memoryBytes, loadedBytes } = layerTraffic(kernels, MIXTRAL.config, MIXTRAL.matrices, tokens);
  return { memory: (memoryBytes * MIXTRAL.layers) / 1e9, loaded: (loadedBytes * MIXTRAL.layers) / 1e9 };
}

const DENSE = (2 * 4096 + 2 * 1024) * 4096 * 0.5625 * 32;
const EXPERTS = 3 * 4096 * 14336 * 0.5625 * 8 * 32;

it('reads the weights of 512 tokens from memory once, where rows first would read them 32 times', () => {
  const rows = gigabytes(defaultKernels(true), 512);
  // 128 assignments per expert are 32 tiles of four, 512 tokens are 128.
  expect(rows.memory).toBeCloseTo((EXPERTS * 32 + DENSE * 128) / 1e9, 6);
  expect((EXPERTS * 32) / 1e9).toBeCloseTo(811.75, 1);
  const workgroup = gigabytes(defaultKernels(false), 512);
  expect(workgroup.memory).toBeCloseTo((EXPERTS + DENSE) / 1e9, 6);
  expect(workgroup.memory).toBeLessThan(28);
  expect(workgroup.loaded).toBeCloseTo(rows.loaded, 6);
});

it('loads each weight once per tile of 64 tokens', () => {
  const tiled = gigabytes({ ...defaultKernels(false), batch: 'tiled-64x64' }, 512);
  expect(tiled.memory).toBeCloseTo((EXPERTS + DENSE) / 1e9, 6);
  expect(tiled.loaded).toBeCloseTo((EXPERTS * 2 + DENSE * 8) / 1e9, 6);
});

it('reads two experts for one token', () => {
  const { memory, loaded } = gigabytes(defaultKernels(false), 1);
  expect(memory).toBeCloseTo((EXPERTS / 4 + DENSE) / 1e9, 6);
  expect(loaded).toBe(memory);
});
