/**
 * One instance of the CPU kernels with its own memory. The kernels are in kernels/, compiled by scripts/kernels.mjs.
 */
import type { Bytes } from '../../../src/contract/ids.ts';
import { expandGrid } from '../../format/quantization/iq-grids.ts';
import { isPlainType } from '../../format/quantization/repack.ts';
import { type TensorLayout, WEIGHT_TYPES } from '../../format/weight-layout.ts';

/** An address in the instance's memory. */
export type Address = number;

/** What kernels/index.ts exports. Lengths count elements, addresses are multiples of 16. */
interface KernelExports {
  memory: WebAssembly.Memory;
  heapStart(): Address;
  placeGrids(at: Address): void;
  matmul(
    type: number,
    matrix: Address,
    rows: number,
    columns: number,
    tokens: number,
    inputs: Address,
    out: Address,
    stride: number,
    tiled: boolean,
  ): number;
  matmulPlain(
    type: number,
    weights: Address,
    rows: number,
    columns: number,
    tokens: number,
    x: Address,
    out: Address,
    stride: number,
  ): number;
  attention(
    q: Address,
    keys: Address,
    values: Address,
    positions: number,
    stride: Bytes,
    group: number,
    headDim: number,
    scores: Address,
    out: Address,
  ): void;
  rmsNorm(x: Address, weight: Address, length: number, tokens: number, epsilon: number, out: Address): void;
  quantize(x: Address, length: number, inputs: Address): void;
  remainder(x: Address, length: number, inputs: Address): void;
  rope(x: Address, heads: number, headDim: number, ropeDim: number, table: Address): void;
  toHalves(x: Address, length: number, out: Address): void;
  swiglu(gate: Address, up: Address, length: number): void;
  addScaled(sum: Address, x: Address, factor: number, length: number): void;
  sampleAdjust(state: Address): number;
  sampleRawSum(state: Address): number;
  sampleTop(state: Address, count: number): void;
  sampleWeigh(state: Address, temperature: number): void;
  sampleCut(state: Address, weighted: boolean, goal: number): void;
  sampleCutBelow(state: Address, difference: number): void;
  sampleDraw(state: Address, share: number): number;
}

/** A matrix in the instance's memory. */
export interface CpuMatrix {
  /** Number of the type in GGUF. */
  type: number;
  isPlain: boolean;
  rows: number;
  columns: number;
  /** Of the weights, or of a `Matrix` struct with the planes' addresses. */
  address: Address;
}

/** Vectors of one or several tokens as f32, and rounded to 16 bits for products with quantized weights. */
export interface CpuVectors {
  /** f32[tokens, columns] */
  values: Address;
  /** An `Inputs` struct; 0 if `columns` is not a multiple of 32, which only matrices of plain types have. */
  inputs: Address;
  columns: number;
}

const PAGE_BYTES = 65536;
const ALIGNMENT = 64;
/** Size of a `Matrix` struct. */
export const MATRIX_BYTES: Bytes = 16;
/** Kernels may read this far beyond the end of what they are given, and ignore it. */
const OVERREAD: Bytes = 64;
/** The grids in the order of `Grids.place`. */
const GRIDS = ['IQ1', 'IQ2_XXS', 'IQ2_XS', 'IQ2_S', 'IQ3_XXS', 'IQ3_S'] as const;

export class KernelModule {
  readonly #exports: KernelExports;
  /** Everything below is in use. */
  #end: Address;

  private constructor(exports: KernelExports) {
    this.#exports = exports;
    this.#end = exports.heapStart();
    const grids = this.#end;
    for (const name of GRIDS) {
      const grid = expandGrid(name);
      // Without padding: the kernels expect one grid right behind the other.
      this.#grow(this.#end + grid.byteLength);
      new Int8Array(exports.memory.buffer).set(grid, this.#end);
      this.#end += grid.byteLength;
    }
    exports.placeGrids(grids);
  }

  /** @throws RangeError if there is no memory */
  static instantiate(module: WebAssembly.Module): KernelModule {
    const instance = new WebAssembly.Instance(module, {});
    return new KernelModule(instance.exports as unknown as KernelExports);
  }

  /** The kernels themselves. */
  get kernels(): Omit<KernelExports, 'memory' | 'heapStart' | 'placeGrids' | 'matmul' | 'matmulPlain'> {
    return this.#exports;
  }

  /** The instance's memory. */
  get memory(): WebAssembly.Memory {
    return this.#exports.memory;
  }

  /**
   * Memory for good: nothing is ever freed.
   * @throws RangeError if the memory cannot grow
   */
  allocate(bytes: Bytes): Address {
    const at = Math.ceil(this.#end / ALIGNMENT) * ALIGNMENT;
    this.#grow(at + bytes + OVERREAD);
    this.#end = at + bytes;
    return at;
  }

  /** A view of memory. It is invalid after the next `allocate`. */
  bytes(at: Address, length: Bytes): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#exports.memory.buffer as ArrayBuffer, at, length);
  }

  /** A view of floats. It is invalid after the next `allocate`. */
  floats(at: Address, length: number): Float32Array<ArrayBuffer> {
    return new Float32Array(this.#exports.memory.buffer as ArrayBuffer, at, length);
  }

  /** A view of 32-bit words. It is invalid after the next `allocate`. */
  words(at: Address, length: number): Uint32Array<ArrayBuffer> {
    return new Uint32Array(this.#exports.memory.buffer as ArrayBuffer, at, length);
  }

  /** A copy of `data` in memory. */
  copy(data: ArrayBufferView): Address {
    const at = this.allocate(data.byteLength);
    this.bytes(at, data.byteLength).set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    return at;
  }

  /**
   * A matrix whose record layout is `layout` and whose first byte is at `at`.
   * @param struct room for a `Matrix` struct, 16 bytes; default: newly allocated
   */
  matrix(layout: TensorLayout, at: Address, struct?: Address): CpuMatrix {
    const { type, rows, cols, planeOffsets } = layout;
    const weightType = WEIGHT_TYPES[type];
    const isPlain = isPlainType(weightType);
    if (isPlain) return { type: weightType.ggmlType, isPlain, rows, columns: cols, address: at };
    const address = struct ?? this.allocate(MATRIX_BYTES);
    const planes = Uint32Array.from([0, 1, 2, 3], (plane) => at + (planeOffsets[plane] ?? 0));
    this.bytes(address, MATRIX_BYTES).set(new Uint8Array(planes.buffer));
    return { type: weightType.ggmlType, isPlain, rows, columns: cols, address };
  }

  /** Memory for the vectors of up to `tokens` tokens. */
  vectors(tokens: number, columns: number): CpuVectors {
    const values = this.allocate(tokens * columns * 4);
    if (columns % 32 !== 0) return { values, inputs: 0, columns };
    const bytes = [2 * columns, columns / 8, columns / 4, columns / 8];
    const fields = bytes.map((perToken) => this.allocate(perToken * tokens));
    return { values, inputs: this.copy(Uint32Array.from(fields)), columns };
  }

  /**
   * out[t, r] = sum over c of matrix[r, c] * x[t, c].
   * @param x its `inputs` must be current: see `quantize`
   * @param out f32[tokens, stride]
   * @param tiled whether a quantized matrix is unpacked in tiles that all tokens share. It is faster from about two
   * tokens on. The results of both ways differ in their last bits. Within one way, and for plain types always, an
   * output is the same to the bit for any other tokens in the call and wherever the matrix was cut by rows.
   * @throws RangeError if there is no kernel for the type
   */
  matmul(
    matrix: CpuMatrix,
    x: CpuVectors,
    tokens: number,
    out: Address,
    stride = matrix.rows,
    tiled = tokens > 1,
  ): void {
    const { type, rows, columns, address } = matrix;
    const done = matrix.isPlain
      ? this.#exports.matmulPlain(type, address, rows, columns, tokens, x.values, out, stride)
      : this.#exports.matmul(type, address, rows, columns, tokens, x.inputs, out, stride, tiled);
    if (!done) throw new RangeError(`There is no CPU kernel for weight type ${type}.`);
  }

  /**
   * Replaces the first `tokens` vectors, which must be rounded, by what rounding took from them, and rounds that.
   */
  toRemainder({ values, inputs, columns }: CpuVectors, tokens: number): void {
    this.#exports.remainder(values, tokens * columns, inputs);
    this.#exports.quantize(values, tokens * columns, inputs);
  }

  /** Rounds the first `tokens` vectors to 16 bits. */
  quantize({ values, inputs, columns }: CpuVectors, tokens: number): void {
    this.#exports.quantize(values, tokens * columns, inputs);
  }

  #grow(bytes: Bytes): void {
    const { memory } = this.#exports;
    const missing = bytes - memory.buffer.byteLength;
    if (missing > 0) memory.grow(Math.ceil(missing / PAGE_BYTES));
  }
}
