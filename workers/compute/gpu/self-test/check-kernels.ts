/** Runs the self-test of a model's kernels at their first load on an adapter. */
import { fetchCode } from '../../../../src/contract/fetch-code.ts';
import type { Model } from '../model/model.ts';
import type { Gpu } from '../open-gpu.ts';
import type { PipelineCache } from '../pipelines.ts';
import { planKernels } from '../plan-kernels.ts';
import type { WrongKernel } from './check.ts';

/**
 * Runs the self-test of a model's kernels, unless they have passed it before in this version of the browser on this
 * adapter. Must be called before experts are loaded. Does nothing if `checksKernels` is false.
 * @returns the first kernel that computes wrong values
 * @throws MixtabError `gpu-out-of-memory` if there is no memory for the test: no model computes with kernels that were
 * never checked
 */
export async function checkKernels(
  { checksKernels, memory }: Pick<Gpu, 'checksKernels' | 'memory'>,
  model: Model,
): Promise<WrongKernel | undefined> {
  if (!checksKernels) return undefined;
  const name = `self-test ${await kernelsHash(model.ctx.pipelines, () => planKernels(model))}`;
  if ((await memory.get(name)) === 'passed') return undefined;
  const { findWrongKernel } = await fetchCode('checks the GPU', () => import('./self-test.ts'));
  const wrong = await findWrongKernel(model);
  if (!wrong) await memory.set(name, 'passed');
  return wrong;
}

/** A hash of the sources and sizes of all kernels that calls need. */
export async function kernelsHash(pipelines: PipelineCache, calls: () => void): Promise<string> {
  const kernels = [...pipelines.plan(calls)].sort(([a], [b]) => (a < b ? -1 : 1));
  const text = kernels.map(([key, { kernel }]) => [key, ...kernel.code].join('\n')).join('\n');
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)));
  return [...hash.subarray(0, 16)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
