/**
 * The variants of kernels: different ways to divide the same work. This is the one list from which a variant is forced
 * in tests, measured by benchmarks, and chosen for an adapter.
 *
 * A family is an operation, or a part of one, whose variant is chosen by itself. To add a variant: its name in
 * `KernelChoice`, its entry in `KERNEL_VARIANTS`, and its case where the operation picks its kernel by
 * `ctx.kernels.<family>`.
 */
import type { Bytes } from '../../../../src/contract/ids.ts';
import {
  BATCH_SHAPES,
  type BatchVariant,
  FEW_SHAPES,
  type FewVariant,
  type MatrixShape,
  threadsOf,
  VECTOR_SHAPES,
  type VectorVariant,
  workgroupMemoryOf,
} from './matrix-variants.ts';

/** The variant of each family that a model uses. */
export interface KernelChoice {
  /** Matrix products with one input: a token in decode. */
  vector: VectorVariant;
  /** Matrix products with a few inputs: short prompts, experts that few tokens select. */
  few: FewVariant;
  /** Matrix products with many inputs: long prompts. */
  batch: BatchVariant;
  /** Attention, in prompts and in decode. */
  attention: 'steps' | 'flash';
  /** The small operations between the matrices of a token: norms, router, sums of expert outputs. */
  between: 'separate' | 'fused';
  /** Sampling a token. */
  sampler: 'single' | 'blocks';
}

export type KernelFamily = keyof KernelChoice;

/** What a variant may need of a device. */
export interface KernelAdapter {
  /** Whether the adapter is a software implementation, which runs threads as loops. */
  software: boolean;
  features: ReadonlySet<string>;
  /** Limit of workgroup memory. */
  workgroupMemoryBytes: Bytes;
  /** Limit of threads per workgroup. */
  workgroupThreads: number;
  /** The largest subgroup of the adapter, in threads; 0 if it is not known. */
  subgroupMaxSize: number;
}

/** One variant of one family. */
export interface KernelVariant<F extends KernelFamily = KernelFamily> {
  family: F;
  name: KernelChoice[F];
  /** What it is for, in a few words. */
  purpose: string;
  /** GPUs run threads of a workgroup in parallel, and would take many times as long as with any other variant. */
  onlySoftware?: boolean;
  /** What the adapter lacks to run it; undefined if it runs there. */
  missing(adapter: KernelAdapter): string | undefined;
}

const runsAnywhere = (): undefined => undefined;

const SHADER_PURPOSE: Record<MatrixShape['shader'], string> = {
  rows: 'software adapters: a thread computes 16 rows, without barriers',
  workgroup: 'GPUs: 64 threads share the columns of four rows',
  staged: 'GPUs: inputs are staged in workgroup memory, runs that share bytes are loaded once',
  tiled: 'GPUs: each weight is unpacked once per tile of inputs',
};

/** What an adapter lacks for a matrix kernel. */
function missingForMatrices(shape: MatrixShape, adapter: KernelAdapter): string | undefined {
  const threads = threadsOf(shape);
  if (threads > adapter.workgroupThreads) return `workgroups of ${threads} threads`;
  const bytes = workgroupMemoryOf(shape);
  if (bytes > adapter.workgroupMemoryBytes) return `${bytes} bytes of workgroup memory`;
  if (shape.shader !== 'staged' || !shape.subgroups) return undefined;
  if (!adapter.features.has('subgroups')) return 'subgroups';
  const size = adapter.subgroupMaxSize;
  return size >= 4 && threads % size === 0 ? undefined : `subgroups whose size divides ${threads}`;
}

const matrixVariants = (family: KernelFamily, shapes: Readonly<Record<string, MatrixShape>>): KernelVariant[] =>
  Object.entries(shapes).map(([name, shape]) => ({
    family,
    name: name as KernelVariant['name'],
    purpose: SHADER_PURPOSE[shape.shader],
    onlySoftware: shape.shader === 'rows',
    missing: (adapter) => missingForMatrices(shape, adapter),
  }));

/**
 * All variants of all families, the default of software adapters first, then that of GPUs. The shapes of matrix variants
 * say how their pipelines are built (matrix-variants.ts).
 */
export const KERNEL_VARIANTS: readonly KernelVariant[] = [
  ...matrixVariants('vector', VECTOR_SHAPES),
  ...matrixVariants('few', FEW_SHAPES),
  ...matrixVariants('batch', BATCH_SHAPES),
  {
    family: 'attention',
    name: 'steps',
    purpose: 'software adapters: scores, values and their combination in three kernels, without barriers',
    onlySoftware: true,
    missing: runsAnywhere,
  },
  {
    family: 'attention',
    name: 'flash',
    purpose: 'GPUs: scores, softmax and values of a chunk in one kernel, without scores in storage',
    missing: runsAnywhere,
  },
  {
    family: 'between',
    name: 'separate',
    purpose: 'software adapters: a kernel for each operation',
    missing: runsAnywhere,
  },
  {
    family: 'between',
    name: 'fused',
    purpose: 'GPUs: norm and router in one kernel, sum of the expert outputs and the next norm in another',
    missing: runsAnywhere,
  },
  {
    family: 'sampler',
    name: 'single',
    purpose: 'software adapters: one workgroup samples from the whole vocabulary',
    missing: runsAnywhere,
  },
  {
    family: 'sampler',
    name: 'blocks',
    purpose: 'GPUs: many workgroups list the likeliest tokens, and one samples from the list',
    missing: runsAnywhere,
  },
];

export const KERNEL_FAMILIES: readonly KernelFamily[] = [...new Set(KERNEL_VARIANTS.map(({ family }) => family))];

/** The variants that are used unless a measurement on this adapter chose others. */
export function defaultKernels(software: boolean): KernelChoice {
  const variant = software ? 'rows' : 'workgroup';
  return {
    vector: variant,
    few: variant,
    batch: variant,
    attention: software ? 'steps' : 'flash',
    between: software ? 'separate' : 'fused',
    sampler: 'single',
  };
}

/** `kernels` with the variant of one family replaced. */
export const withVariant = (kernels: KernelChoice, { family, name }: KernelVariant): KernelChoice => ({
  ...kernels,
  [family]: name,
});

/** The variants that run on an adapter, except those that it would never use. */
export const variantsFor = (adapter: KernelAdapter): KernelVariant[] =>
  KERNEL_VARIANTS.filter(
    ({ missing, onlySoftware }) => missing(adapter) === undefined && (adapter.software || !onlySoftware),
  );

/** What the variants need to know of a device. */
export function kernelAdapter(device: GPUDevice, software: boolean): KernelAdapter {
  const { features, limits } = device;
  // Only browsers with subgroups have the adapter's sizes.
  const info = device.adapterInfo as { subgroupMaxSize?: number } | undefined;
  return {
    software,
    features: features as ReadonlySet<string>,
    workgroupMemoryBytes: limits.maxComputeWorkgroupStorageSize,
    workgroupThreads: Math.min(limits.maxComputeInvocationsPerWorkgroup, limits.maxComputeWorkgroupSizeX),
    subgroupMaxSize: info?.subgroupMaxSize ?? 0,
  };
}
