import { describe, expect, it } from 'vitest';
import { MixtabError } from '../../src/contract/errors.ts';
import { type ComputeFacts, chooseCompute } from './choose-compute.ts';

const REAL = { software: false };
const SOFTWARE = { software: true };
const gpuError = new MixtabError('webgpu-unsupported', 'no WebGPU');
const cpuError = new MixtabError('wasm-unsupported', 'no SIMD');

const choose = (facts: Partial<ComputeFacts> = {}) =>
  chooseCompute({ requested: 'auto', adapter: REAL, gpuFailures: 0, ...facts });

describe('automatically', () => {
  it.each<[string, Partial<ComputeFacts>, string, string]>([
    ['a real GPU is used', {}, 'gpu', 'gpu'],
    ['a real GPU is used after one failure', { gpuFailures: 1 }, 'gpu', 'gpu'],
    ['a GPU that computes wrong values is not', { gpuWrong: true }, 'cpu', 'gpu-wrong-values'],
    ['a GPU that failed twice is not', { gpuFailures: 2 }, 'cpu', 'gpu-failed'],
    ['a software adapter is not', { adapter: SOFTWARE }, 'cpu', 'software-gpu'],
    ['the CPU is used without WebGPU', { adapter: undefined, gpuError }, 'cpu', 'no-gpu'],
    ['a software adapter is used if the CPU cannot compute', { adapter: SOFTWARE, cpuError }, 'gpu', 'software-gpu'],
    ['a GPU that failed twice is used if the CPU cannot compute', { gpuFailures: 2, cpuError }, 'gpu', 'gpu-failed'],
  ])('%s', (_, facts, kind, reason) => {
    expect(choose(facts)).toEqual({ kind, reason });
  });

  it('is refused with the reason for which there is no GPU if nothing can compute', () => {
    expect(() => choose({ adapter: undefined, gpuError, cpuError })).toThrow(gpuError);
  });
});

describe('a request', () => {
  it('is granted whatever would be chosen automatically', () => {
    expect(choose({ requested: 'cpu' })).toEqual({ kind: 'cpu', reason: 'requested' });
    expect(choose({ requested: 'cpu', adapter: undefined, gpuError })).toEqual({ kind: 'cpu', reason: 'requested' });
    for (const facts of [{}, { adapter: SOFTWARE }, { gpuFailures: 5 }])
      expect(choose({ requested: 'gpu', ...facts })).toEqual({ kind: 'gpu', reason: 'requested' });
  });

  it('is refused with its own reason, and never replaced by the other', () => {
    expect(() => choose({ requested: 'gpu', adapter: undefined, gpuError })).toThrow(gpuError);
    expect(() => choose({ requested: 'cpu', cpuError })).toThrow(cpuError);
  });
});
