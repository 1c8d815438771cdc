/** Which variants run on an adapter with WebGPU's default limits, which every adapter has. */
import { expect, it } from 'vitest';
import { defaultKernels, KERNEL_FAMILIES, KERNEL_VARIANTS, variantsFor } from './kernel-variants.ts';
import { BATCH_SHAPES, FEW_SHAPES, threadsOf, VECTOR_SHAPES, workgroupMemoryOf } from './matrix-variants.ts';

const LEAST_ADAPTER = {
  software: false,
  features: new Set(['subgroups']),
  workgroupMemoryBytes: 16384,
  workgroupThreads: 256,
  subgroupMaxSize: 32,
};

it('leaves out only the variant that needs more than 16 KiB of workgroup memory, and those of software adapters', () => {
  const names = (variants: typeof KERNEL_VARIANTS) => variants.map(({ family, name }) => `${family} ${name}`);
  const leftOut = (software: boolean) => {
    const running = new Set(names(variantsFor({ ...LEAST_ADAPTER, software })));
    return names(KERNEL_VARIANTS).filter((name) => !running.has(name));
  };
  expect(leftOut(true)).toEqual(['few staged']);
  expect(leftOut(false)).toEqual(['vector rows', 'few rows', 'few staged', 'batch rows', 'attention steps']);
  const running = new Set(names(variantsFor(LEAST_ADAPTER)));
  for (const family of KERNEL_FAMILIES) expect(running).toContain(`${family} ${defaultKernels(false)[family]}`);
});

it('counts workgroup memory and threads', () => {
  const shapes = { ...VECTOR_SHAPES, ...FEW_SHAPES, ...BATCH_SHAPES };
  const large = Object.entries(shapes).filter(([, shape]) => workgroupMemoryOf(shape) > 16384);
  expect(large.map(([name, shape]) => [name, workgroupMemoryOf(shape)])).toEqual([['staged', 17152]]);
  expect(Math.max(...Object.values(shapes).map(threadsOf))).toBe(256);
});
