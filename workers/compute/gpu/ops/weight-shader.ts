/** Maps each weight type to the WGSL that reads it, and a matrix layout to the overrides of its kernels. */
import gridOf4 from '../../../../shaders/lib/grid_of_4.wgsl?raw';
import gridOf4Copy from '../../../../shaders/lib/grid_of_4_copy.wgsl?raw';
import gridOf8 from '../../../../shaders/lib/grid_of_8.wgsl?raw';
import gridOf8Copy from '../../../../shaders/lib/grid_of_8_copy.wgsl?raw';
import iq4Values from '../../../../shaders/lib/iq4_values.wgsl?raw';
import noGrid from '../../../../shaders/lib/no_grid.wgsl?raw';
import affine from '../../../../shaders/lib/run_affine.wgsl?raw';
import affineHalves from '../../../../shaders/lib/run_affine_halves.wgsl?raw';
import plain from '../../../../shaders/lib/run_plain.wgsl?raw';
import scaled from '../../../../shaders/lib/run_scaled.wgsl?raw';
import scaledHalves from '../../../../shaders/lib/run_scaled_halves.wgsl?raw';
import scaleMin6 from '../../../../shaders/lib/scale_min_6.wgsl?raw';
import shiftedGrid from '../../../../shaders/lib/shifted_grid.wgsl?raw';
import signedGrid from '../../../../shaders/lib/signed_grid.wgsl?raw';
import unitRun from '../../../../shaders/lib/unit_run.wgsl?raw';
import weightsCode from '../../../../shaders/lib/weights.wgsl?raw';
import bf16 from '../../../../shaders/lib/weights_bf16.wgsl?raw';
import f16 from '../../../../shaders/lib/weights_f16.wgsl?raw';
import f32 from '../../../../shaders/lib/weights_f32.wgsl?raw';
import iq1_m from '../../../../shaders/lib/weights_iq1_m.wgsl?raw';
import iq1_s from '../../../../shaders/lib/weights_iq1_s.wgsl?raw';
import iq2_s from '../../../../shaders/lib/weights_iq2_s.wgsl?raw';
import iq2_xs from '../../../../shaders/lib/weights_iq2_xs.wgsl?raw';
import iq2_xxs from '../../../../shaders/lib/weights_iq2_xxs.wgsl?raw';
import iq3_s from '../../../../shaders/lib/weights_iq3_s.wgsl?raw';
import iq3_xxs from '../../../../shaders/lib/weights_iq3_xxs.wgsl?raw';
import iq4_nl from '../../../../shaders/lib/weights_iq4_nl.wgsl?raw';
import iq4_xs from '../../../../shaders/lib/weights_iq4_xs.wgsl?raw';
import mxfp4 from '../../../../shaders/lib/weights_mxfp4.wgsl?raw';
import q2_k from '../../../../shaders/lib/weights_q2_k.wgsl?raw';
import q3_k from '../../../../shaders/lib/weights_q3_k.wgsl?raw';
import q4_0 from '../../../../shaders/lib/weights_q4_0.wgsl?raw';
import q4_1 from '../../../../shaders/lib/weights_q4_1.wgsl?raw';
import q4_k from '../../../../shaders/lib/weights_q4_k.wgsl?raw';
import q5_0 from '../../../../shaders/lib/weights_q5_0.wgsl?raw';
import q5_1 from '../../../../shaders/lib/weights_q5_1.wgsl?raw';
import q5_k from '../../../../shaders/lib/weights_q5_k.wgsl?raw';
import q6_k from '../../../../shaders/lib/weights_q6_k.wgsl?raw';
import q8_0 from '../../../../shaders/lib/weights_q8_0.wgsl?raw';
import { blocksPerRow, type TensorLayout, WEIGHT_TYPES, type WeightTypeName } from '../../../format/weight-layout.ts';
import type { KernelSource } from '../pipelines.ts';
import { MAX_GRID_COPY_BYTES } from '../variants/matrix-variants.ts';
import { gridBytes } from './weight-tables.ts';

/** The lib files of each weight type: the one for its kind of run, shared ones, and its own. */
const TYPE_CODE: Record<WeightTypeName, readonly string[]> = {
  F32: [plain, f32],
  F16: [plain, f16],
  BF16: [plain, bf16],
  Q4_0: [scaled, q4_0],
  Q4_1: [affine, q4_1],
  Q5_0: [scaled, q5_0],
  Q5_1: [affine, q5_1],
  Q8_0: [scaled, q8_0],
  IQ4_NL: [scaled, iq4Values, iq4_nl],
  MXFP4: [scaled, mxfp4],
  Q2_K: [affineHalves, q2_k],
  Q3_K: [scaledHalves, q3_k],
  Q4_K: [affine, scaleMin6, q4_k],
  Q5_K: [affine, scaleMin6, q5_k],
  Q6_K: [scaledHalves, q6_k],
  IQ1_S: [scaled, gridOf8, shiftedGrid, iq1_s],
  IQ1_M: [scaledHalves, gridOf8, shiftedGrid, iq1_m],
  IQ2_XXS: [scaled, gridOf8, signedGrid, iq2_xxs],
  IQ2_XS: [scaledHalves, gridOf8, signedGrid, iq2_xs],
  IQ2_S: [scaledHalves, gridOf8, signedGrid, iq2_s],
  IQ3_XXS: [scaled, gridOf4, signedGrid, iq3_xxs],
  IQ3_S: [scaled, gridOf4, signedGrid, iq3_s],
  IQ4_XS: [scaled, iq4Values, iq4_xs],
};

/** The binding of the table in shaders/lib/grid_of_*.wgsl. */
const GRID_BINDING = 7;

/** Weights per run: the number that `run32` and `block32` of every type return at once. */
export const RUN = 32;

/**
 * Runs of 32 weights that share bytes, which a thread of the variants `staged` loads together; other types: 1. Their
 * libs declare the unit themselves.
 */
const UNIT_RUNS: Partial<Record<WeightTypeName, number>> = { Q4_K: 2, Q5_K: 2, Q6_K: 2, Q2_K: 4, Q3_K: 4 };

/** Runs of 32 weights per unit: `UNIT_RUNS` in WGSL. */
export const unitRuns = (type: WeightTypeName): number => UNIT_RUNS[type] ?? 1;

/**
 * The grid that a kernel with `gridCopy` copies to workgroup memory. Undefined if the type has none, or a large one:
 * workgroup memory is scarce.
 */
export function gridCopy(type: WeightTypeName): { code: string; entries: number } | undefined {
  const bytes = gridBytes(type)?.byteLength;
  if (bytes === undefined || bytes > MAX_GRID_COPY_BYTES) return undefined;
  const of8 = TYPE_CODE[type].includes(gridOf8);
  return { code: of8 ? gridOf8Copy : gridOf4Copy, entries: bytes / (of8 ? 8 : 4) };
}

interface WeightKernelOptions {
  /** A WGSL extension that the kernel needs. */
  enable?: string;
  /** Declares units: shaders/lib/unit_run.wgsl. */
  units?: boolean;
  /** Declares load_grid(), which copies small grids to workgroup memory. */
  gridCopy?: boolean;
}

/**
 * Assembles a kernel that reads weights of one type.
 * @param parts the libs that the kernel needs besides those of the weight type, then its own code
 */
export function weightKernel(
  name: string,
  type: WeightTypeName,
  options: WeightKernelOptions,
  ...parts: string[]
): KernelSource {
  const table = gridBytes(type);
  const copied = options.gridCopy ? gridCopy(type) : undefined;
  const code = TYPE_CODE[type].map((lib) => (copied && (lib === gridOf8 || lib === gridOf4) ? copied.code : lib));
  return {
    name: `${name} ${type}`,
    code: [
      ...(options.enable ? [`enable ${options.enable};`] : []),
      weightsCode,
      ...(copied ? [`const GRID_ENTRIES = ${copied.entries}u;`] : options.gridCopy ? [noGrid] : []),
      ...code,
      ...(options.units && unitRuns(type) === 1 ? [unitRun] : []),
      ...parts,
    ],
    ...(table && { table: { binding: GRID_BINDING, bytes: table } }),
  };
}

/** The number of runs of 32 weights per matrix row, including padding. */
export function runsPerRow({ type, cols }: TensorLayout): number {
  const weightType = WEIGHT_TYPES[type];
  return blocksPerRow(weightType, cols) * (weightType.blockWeights / RUN);
}

/** The starts of a matrix's four planes, in vec4 (16 bytes). @param base the byte offset of the matrix in the binding */
export const planeStarts = ({ planeOffsets }: TensorLayout, base = 0): number[] =>
  [0, 1, 2, 3].map((plane) => (base + (planeOffsets[plane] ?? 0)) / 16);

/**
 * Overrides for the starts of a matrix's planes, in vec4 (16 bytes). They are named `<prefix>1`, `<prefix>2` and
 * `<prefix>3`; with `base`, also `<prefix>0`.
 * @param base the byte offset of the matrix in the binding; default: 0
 */
export function planeOverrides(layout: TensorLayout, prefix: string, base?: number): Record<string, number> {
  const entries = planeStarts(layout, base).map((start, plane) => [`${prefix}${plane}`, start] as const);
  return Object.fromEntries(base === undefined ? entries.slice(1) : entries);
}
