/** The grids of the IQ weight types, as their kernels read them (shaders/lib/grid_of_*.wgsl). */
import { expandGrid, type IqGridName } from '../../../format/quantization/iq-grids.ts';
import type { WeightTypeName } from '../../../format/weight-layout.ts';

const GRID_OF: Partial<Record<WeightTypeName, IqGridName>> = {
  IQ1_S: 'IQ1',
  IQ1_M: 'IQ1',
  IQ2_XXS: 'IQ2_XXS',
  IQ2_XS: 'IQ2_XS',
  IQ2_S: 'IQ2_S',
  IQ3_XXS: 'IQ3_XXS',
  IQ3_S: 'IQ3_S',
};

const cache = new Map<IqGridName, Uint8Array<ArrayBuffer>>();

/** The grid of a weight type with one byte per number, 1 to 16 KiB; undefined for types without a grid. */
export function gridBytes(type: WeightTypeName): Uint8Array<ArrayBuffer> | undefined {
  const name = GRID_OF[type];
  if (!name) return undefined;
  let bytes = cache.get(name);
  if (!bytes) {
    // The values -1, 0, 1 of IQ1 are stored as 0, 8, 16: 8 * (value + 1).
    bytes = new Uint8Array(name === 'IQ1' ? expandGrid(name).map((number) => 8 * (number + 1)) : expandGrid(name));
    cache.set(name, bytes);
  }
  return bytes;
}
