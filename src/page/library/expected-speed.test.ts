import { describe, expect, it } from 'vitest';
import type { ModelConfig, ModelFigures } from '../../contract/import-api.ts';
import { expectSpeed, hitRate, storeHitRate } from './expected-speed.ts';

const MIXTRAL = {
  layerCount: 32,
  kvHeadCount: 8,
  headDim: 128,
  embeddingLength: 4096,
  expertCount: 8,
  expertsPerToken: 2,
  contextLength: 32768,
} as ModelConfig;

/** A quantization of 8x7B with 1.1 GB of dense weights, 1 GB of which every token reads. */
const figures = (expertBytes: number): ModelFigures => ({
  parts: [],
  denseBytes: 1.1e9,
  expertBytes,
  bytesPerToken: 1e9 + 64 * expertBytes,
  bitsPerWeight: 4,
});
const device = { kind: 'gpu' as const, gpuBytes: 13.5e9, ramBytes: 0, gpuRate: 100e9, ramRate: 10e9, storeRate: 2.5e9 };

describe('hitRate', () => {
  it('is the measured rate for k of 8 experts, and linear in between', () => {
    expect([2, 3, 4, 5, 6, 7, 8].map((k) => hitRate(k / 8))).toEqual([0.31, 0.43, 0.55, 0.66, 0.77, 0.89, 1]);
    expect(hitRate(0.3125)).toBeCloseTo(0.37, 12);
    expect([hitRate(0), hitRate(-1), hitRate(2)]).toEqual([0, 0, 1]);
  });
});

describe('storeHitRate', () => {
  // Replayed: docs/measurements/streaming.md, "Main memory behind the slots", column "engine", random routing.
  it.each([
    [2, 1, 0.429, 0.353],
    [2, 2, 0.503, 0.353],
    [2, 3, 0.583, 0.353],
    [3, 2, 0.598, 0.46],
    [3, 3, 0.676, 0.46],
    [4, 2, 0.699, 0.563],
    [4, 3, 0.774, 0.563],
  ])('adds what was measured for %i slots and room for %i of 8 experts', (slots, ram, engine, slotsAlone) => {
    const gain = storeHitRate(slots / 8, ram / 8) - hitRate(slots / 8);
    expect(Math.abs(gain - (engine - slotsAlone))).toBeLessThan(0.02);
  });

  it('is 1 only if one kind of memory has room for all experts', () => {
    expect([storeHitRate(0.25, 1), storeHitRate(1, 0), storeHitRate(0.5, 0)]).toEqual([1, 1, hitRate(0.5)]);
    expect(storeHitRate(0.5, 0.5)).toBeLessThan(0.9);
  });
});

describe('expectSpeed', () => {
  // Computed by hand: 64 experts per token, of which LRU misses some, read at 2.5 GB/s.
  it.each([
    // (13.5 - 1.1 - 0.537 - 0.134) GB / (32 x 99 MB) = 3.702 slots: hit rate 0.514;
    // 64 x 0.486 x 99 MB / 2.5 GB/s = 1.232 s
    ['Q4_K_M, old mix', 99e6, 0.812],
    // 5.727 slots: 0.740; 64 x 0.260 x 64 MB / 2.5 GB/s = 0.426 s
    ['Q2_K, new mix', 64e6, 2.347],
    // 7.049 slots: 0.895; 64 x 0.1046 x 52 MB / 2.5 GB/s = 0.1392 s
    ['IQ2_XS', 52e6, 7.18],
  ])('%s with 13.5 GB of GPU memory', (_name, expertBytes, tokens) => {
    const expected = expectSpeed(figures(expertBytes), MIXTRAL, device);
    expect(expected).toMatchObject({ fit: 'streams', boundBy: 'store' });
    expect(expected.tokensPerSecond / tokens).toBeCloseTo(1, 1);
  });

  it('is bound by GPU memory if everything is resident', () => {
    const expected = expectSpeed(figures(99e6), MIXTRAL, { ...device, gpuBytes: 48e9 });
    expect(expected).toMatchObject({ fit: 'resident', boundBy: 'gpu', hitRate: 1, residentShare: 1 });
    expect(expected.tokensPerSecond).toBeCloseTo(100 / (1 + 64 * 0.099), 6);
    expect(expected.residentBytes / 1e9).toBeCloseTo(1.1 + 0.537 + 0.134 + 256 * 0.099, 2);
  });

  it('counts main memory: experts there are not read from the store', () => {
    const [without, some, all] = [0, 8e9, 40e9].map((ramBytes) =>
      expectSpeed(figures(99e6), MIXTRAL, { ...device, ramBytes }),
    );
    expect(some.tokensPerSecond).toBeGreaterThan(1.3 * without.tokensPerSecond);
    expect(all.boundBy).toBe('ram');
    expect(all.tokensPerSecond).toBeCloseTo(4 * without.tokensPerSecond, 6); // 10 GB/s instead of 2.5
  });

  it('is bound by the arithmetic of the threads if the CPU computes', () => {
    const cpu = { kind: 'cpu' as const, ramBytes: 48e9, threads: 2, flopsPerThread: 20e9, storeRate: 2.5e9 };
    const resident = expectSpeed(figures(99e6), MIXTRAL, cpu);
    expect(resident).toMatchObject({ fit: 'resident', boundBy: 'cpu', hitRate: 1 });
    // 7.336 GB of 4 bits are 14.672 billion weights; 2 operations each at 40 GFLOP/s take 0.7336 s
    expect(resident.tokensPerSecond).toBeCloseTo(1 / 0.7336, 6);
    expect(expectSpeed(figures(99e6), MIXTRAL, { ...cpu, threads: 1 }).tokensPerSecond).toBeCloseTo(0.5 / 0.7336, 6);
    // The same share of experts is resident as with the same GPU memory, and 2.5 GB/s from the store is the bound.
    const streamed = expectSpeed(figures(99e6), MIXTRAL, { ...cpu, ramBytes: device.gpuBytes });
    const onGpu = expectSpeed(figures(99e6), MIXTRAL, device);
    expect(streamed).toMatchObject({ fit: 'streams', boundBy: 'store', hitRate: onGpu.hitRate });
    expect(streamed.tokensPerSecond).toBeCloseTo(onGpu.tokensPerSecond, 9);
    expect(streamed.leastBytes).toBe(onGpu.leastBytes);
  });

  it('reports a model that is too large, and the memory that it needs', () => {
    const expected = expectSpeed(figures(99e6), MIXTRAL, { ...device, gpuBytes: 1.8e9 });
    expect(expected).toMatchObject({ fit: 'too-large', tokensPerSecond: 0 });
    expect(expected.leastBytes / 1e9).toBeCloseTo(1.1 + 0.537 + 0.134 + 2 * 0.099, 2);
    expect(expectSpeed(figures(99e6), MIXTRAL, { ...device, gpuBytes: expected.leastBytes }).fit).toBe('streams');
  });
});
