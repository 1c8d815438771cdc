/**
 * What one compute thread does: it holds some rows of every matrix and some heads of the KV cache, and computes its part
 * of each step of a layer. The engine worker has such an object itself; the others are in workers of their own
 * (`workers/compute.worker.ts`). No method waits for anything.
 *
 * Inputs and outputs are f32 arrays whose rows are tokens, or assignments of tokens to experts. There are at most
 * `chunkTokens` rows. An output is valid until the next step: it may be a view of the thread's memory. `tiled`: see {@link KernelModule.matmul}; prompts use it so that a token's results do not depend
 * on the tokens beside it.
 */
import type { Bytes } from '../../../src/contract/ids.ts';
import type { TensorLayout } from '../../format/weight-layout.ts';
import type { Address, CpuMatrix, CpuVectors } from './kernels-module.ts';
import { MATRIX_BYTES } from './kernels-module.ts';
import { ReusedFloats } from './reused-floats.ts';
import { ThreadBank } from './thread-bank.ts';
import type { ThreadShape } from './thread-shape.ts';

/** A thread's rows of the tensors of one record. */
export interface SliceBytes {
  /** Where the tensors are in `bytes`; a matrix may have 0 rows. */
  tensors: readonly TensorLayout[];
  bytes: Uint8Array<ArrayBuffer>;
}

/** Neighbouring rows of the input that one expert computes. */
export interface SlotRows {
  slot: number;
  count: number;
}

interface Layer {
  bank: ThreadBank;
  matrices: ReadonlyMap<string, CpuMatrix>;
  /** f16[context, key heads of the thread, headDim], like `values`. */
  keys: Address;
  values: Address;
}

/** Room for one expert. */
interface Slot {
  bank: ThreadBank;
  address: Address;
  /** Of three `Matrix` structs. */
  structs: Address;
  expert?: LoadedExpert;
}

interface LoadedExpert {
  gate: CpuMatrix;
  up: CpuMatrix;
  down: CpuMatrix;
}

/** Part of the keys or values of one layer, in positions. */
export interface KvPositions {
  layer: number;
  kind: 'keys' | 'values';
  first: number;
  count: number;
}

export class ComputeThread {
  readonly #banks: ThreadBank[] = [];
  readonly #layers: Layer[] = [];
  readonly #outputs: { bank: ThreadBank; matrix: CpuMatrix }[] = [];
  readonly #slots: Slot[] = [];
  /** Outputs of several experts, or of several parts of the output matrix. */
  readonly #outputMemory = new ReusedFloats();

  constructor(
    private readonly module: WebAssembly.Module,
    private readonly shape: ThreadShape,
  ) {}

  /** Adds the attention matrices of the next layer, with room for its keys and values. */
  addLayer({ tensors, bytes }: SliceBytes): void {
    const cacheBytes = this.shape.context * this.#positionBytes;
    const bank = this.#bankFor(bytes.byteLength + 2 * cacheBytes);
    const address = copyTo(bank, bytes);
    this.#layers.push({
      bank,
      matrices: new Map(tensors.map((layout) => [layout.name, bank.matrix(layout, address)])),
      keys: bank.allocate(cacheBytes),
      values: bank.allocate(cacheBytes),
    });
  }

  /** Adds the next part of the output matrix. */
  addOutput({ tensors, bytes }: SliceBytes): void {
    const layout = tensors.find(({ name }) => name === 'output')!;
    const bank = this.#bankFor(bytes.byteLength);
    this.#outputs.push({ bank, matrix: bank.matrix(layout, copyTo(bank, bytes)) });
  }

  /** Reserves the slots for experts. @param sizes bytes of each slot, by its number */
  reserveSlots(sizes: readonly Bytes[]): void {
    for (const size of sizes) {
      const bank = this.#bankFor(size);
      this.#slots.push({ bank, address: bank.allocate(size), structs: bank.allocate(3 * MATRIX_BYTES) });
    }
  }

  /** Fills a slot with an expert. */
  upload(slotNumber: number, { tensors, bytes }: SliceBytes): void {
    const slot = this.#slots[slotNumber];
    const { bank, address, structs } = slot;
    bank.kernels.bytes(address, bytes.byteLength).set(bytes);
    const matrix = (name: string, index: number): CpuMatrix =>
      bank.matrix(tensors.find((layout) => layout.name === name)!, address, structs + index * MATRIX_BYTES);
    slot.expert = { gate: matrix('gate', 0), up: matrix('up', 1), down: matrix('down', 2) };
  }

  /**
   * Attention of the thread's heads, up to the output matrix. Stores keys and values from `position` on.
   * @param normed f32[tokens, embeddingLength]
   * @param rope f32[tokens, ropeDimensionCount / 2, 2]: cosine and sine at each token's position
   * @returns f32[tokens, query heads of the thread, headDim]
   */
  attention(layer: number, position: number, normed: Float32Array, rope: Float32Array, tiled: boolean): Float32Array {
    const { bank, matrices, keys, values } = this.#layers[layer];
    const { kernels, scratch } = bank;
    const { headDim, embeddingLength } = this.shape.config;
    const { heads } = this.shape;
    if (heads.queries === 0) return new Float32Array(0);
    const tokens = normed.length / embeddingLength;
    this.#setInput(bank, scratch.normed, normed);
    const project = (name: string, out: Address): void =>
      kernels.matmul(matrices.get(name)!, scratch.normed, tokens, out, undefined, tiled);
    project('attn_q', scratch.queries);
    project('attn_k', scratch.keys);
    project('attn_v', scratch.values);
    this.#correctKeysAndValues(layer, tokens, tiled);
    this.#rotate(bank, tokens, rope);
    const kvWidth = heads.kvs * headDim;
    const at = position * this.#positionBytes;
    kernels.kernels.toHalves(scratch.keys, tokens * kvWidth, keys + at);
    kernels.kernels.toHalves(scratch.values, tokens * kvWidth, values + at);
    for (let t = 0; t < tokens; t++) this.#attend(layer, t, position + t + 1);
    return kernels.floats(scratch.attended, tokens * heads.queries * headDim);
  }

  /**
   * Multiplies with the output matrix of attention.
   * @param attended f32[tokens, headCount * headDim], of all threads
   * @returns f32[tokens, rows of the thread]
   */
  attentionOutput(layer: number, attended: Float32Array, tiled: boolean): Float32Array {
    const { bank, matrices } = this.#layers[layer];
    this.#setInput(bank, bank.scratch.allAttended, attended);
    return this.#product(bank, matrices.get('attn_output')!, bank.scratch.allAttended, attended.length, tiled);
  }

  /**
   * The hidden activations of experts: silu(gate x) * up x.
   * @param input f32[assignments, embeddingLength], the rows of `groups` one after another; a single row is the input
   *   of all groups, which have one row each
   * @returns f32[assignments, rows of the thread]
   */
  gateUp(groups: readonly SlotRows[], input: Float32Array, tiled: boolean): Float32Array {
    const { embeddingLength } = this.shape.config;
    const width = this.shape.rows.gate;
    const isShared = input.length === embeddingLength;
    const result = this.#outputMemory.take(countRows(groups) * width);
    let first = 0;
    let current: ThreadBank | undefined;
    for (const { slot, count } of groups) {
      const { bank, expert } = this.#loadedSlot(slot);
      const { kernels, scratch } = bank;
      if (!isShared) this.#setInput(bank, scratch.normed, rowsOf(input, embeddingLength, first, count));
      else if (bank !== current) this.#setInput(bank, scratch.normed, input);
      current = bank;
      kernels.matmul(expert.gate, scratch.normed, count, scratch.gate, width, tiled);
      kernels.matmul(expert.up, scratch.normed, count, scratch.up, width, tiled);
      kernels.kernels.swiglu(scratch.gate, scratch.up, count * width);
      result.set(kernels.floats(scratch.gate, count * width), first * width);
      first += count;
    }
    return result;
  }

  /**
   * The outputs of experts.
   * @param activations f32[assignments, feedForwardLength], of all threads; see {@link gateUp}
   * @returns f32[assignments, rows of the thread]
   */
  down(groups: readonly SlotRows[], activations: Float32Array, tiled: boolean): Float32Array {
    const { feedForwardLength } = this.shape.config;
    const width = this.shape.rows.down;
    const result = this.#outputMemory.take((activations.length / feedForwardLength) * width);
    let first = 0;
    for (const { slot, count } of groups) {
      const { bank, expert } = this.#loadedSlot(slot);
      this.#setInput(bank, bank.scratch.activations, rowsOf(activations, feedForwardLength, first, count));
      bank.kernels.matmul(expert.down, bank.scratch.activations, count, bank.scratch.out, width, tiled);
      result.set(bank.kernels.floats(bank.scratch.out, count * width), first * width);
      first += count;
    }
    return result;
  }

  /**
   * Logits.
   * @param normed f32[tokens, embeddingLength]
   * @returns f32[tokens, rows of the thread], its rows of all parts of the output matrix one after another
   */
  head(normed: Float32Array, tiled: boolean): Float32Array {
    const width = this.shape.rows.output;
    const tokens = normed.length / this.shape.config.embeddingLength;
    const result = this.#outputMemory.take(tokens * width);
    let column = 0;
    for (const { bank, matrix } of this.#outputs) {
      const { kernels, scratch } = bank;
      this.#setInput(bank, scratch.normed, normed);
      kernels.matmul(matrix, scratch.normed, tokens, scratch.out, undefined, tiled);
      if (matrix.rows === width) return kernels.floats(scratch.out, tokens * width);
      for (let t = 0; t < tokens; t++) {
        result.set(kernels.floats(scratch.out + t * matrix.rows * 4, matrix.rows), t * width + column);
      }
      column += matrix.rows;
    }
    return result;
  }

  /** @returns f16[count, key heads of the thread, headDim] */
  readKv({ layer, kind, first, count }: KvPositions): Uint8Array<ArrayBuffer> {
    const { bank, [kind]: address } = this.#layers[layer];
    return bank.kernels.bytes(address + first * this.#positionBytes, count * this.#positionBytes).slice();
  }

  /** @param bytes as {@link readKv} returns them */
  writeKv({ layer, kind, first, count }: KvPositions, bytes: Uint8Array): void {
    const { bank, [kind]: address } = this.#layers[layer];
    bank.kernels.bytes(address + first * this.#positionBytes, count * this.#positionBytes).set(bytes);
  }

  /**
   * Adds to keys and values what rounding the inputs to 16 bits took from them. Keys and values are rounded to f16 next,
   * where a tiny difference can flip the last bit, and that is a thousand times larger (docs/cpu-backend.md).
   */
  #correctKeysAndValues(layer: number, tokens: number, tiled: boolean): void {
    const { bank, matrices } = this.#layers[layer];
    const { kernels, scratch } = bank;
    if (!scratch.normed.inputs) return;
    kernels.toRemainder(scratch.normed, tokens);
    const correct = (name: string, sums: Address): void => {
      const matrix = matrices.get(name)!;
      if (matrix.isPlain) return; // its inputs are not rounded
      kernels.matmul(matrix, scratch.normed, tokens, scratch.correction, undefined, tiled);
      kernels.kernels.addScaled(sums, scratch.correction, 1, tokens * matrix.rows);
    };
    correct('attn_k', scratch.keys);
    correct('attn_v', scratch.values);
  }

  #loadedSlot(slot: number): { bank: ThreadBank; expert: LoadedExpert } {
    const { bank, expert } = this.#slots[slot];
    if (!expert) throw new RangeError(`slot ${slot} is empty`);
    return { bank, expert };
  }

  /** Bytes of one position in the keys or values of a layer. */
  get #positionBytes(): Bytes {
    return this.shape.heads.kvs * this.shape.config.headDim * 2;
  }

  #attend(layer: number, token: number, positions: number): void {
    const { bank, keys, values } = this.#layers[layer];
    const { scratch, kernels } = bank;
    const { headCount, kvHeadCount, headDim } = this.shape.config;
    const { firstQuery, queries, firstKv, kvs } = this.shape.heads;
    const group = headCount / kvHeadCount;
    for (let kv = 0; kv < kvs; kv++) {
      const first = Math.max(firstQuery, (firstKv + kv) * group) - firstQuery;
      const end = Math.min(firstQuery + queries, (firstKv + kv + 1) * group) - firstQuery;
      const offset = (token * queries + first) * headDim * 4;
      const head = kv * headDim * 2;
      kernels.kernels.attention(
        scratch.queries + offset,
        keys + head,
        values + head,
        positions,
        this.#positionBytes,
        end - first,
        headDim,
        scratch.scores,
        scratch.attended + offset,
      );
    }
  }

  /** Rotates queries and keys in the scratch memory by their positions. */
  #rotate({ kernels, scratch }: ThreadBank, tokens: number, rope: Float32Array): void {
    const { headDim, ropeDimensionCount } = this.shape.config;
    const { queries, kvs } = this.shape.heads;
    for (let t = 0; t < tokens; t++) {
      kernels.floats(scratch.rope, ropeDimensionCount).set(rowsOf(rope, ropeDimensionCount, t, 1));
      const rotate = (x: Address, heads: number): void =>
        kernels.kernels.rope(x + t * heads * headDim * 4, heads, headDim, ropeDimensionCount, scratch.rope);
      rotate(scratch.queries, queries);
      rotate(scratch.keys, kvs);
    }
  }

  /** Multiplies a matrix with vectors in scratch memory. @param inputLength of all tokens' vectors together */
  #product(
    { kernels, scratch }: ThreadBank,
    matrix: CpuMatrix,
    x: CpuVectors,
    inputLength: number,
    tiled: boolean,
  ): Float32Array {
    const tokens = inputLength / x.columns;
    kernels.matmul(matrix, x, tokens, scratch.out, undefined, tiled);
    return kernels.floats(scratch.out, tokens * matrix.rows);
  }

  #setInput({ kernels }: ThreadBank, vectors: CpuVectors, values: Float32Array): void {
    kernels.floats(vectors.values, values.length).set(values);
    if (vectors.inputs) kernels.quantize(vectors, values.length / vectors.columns);
  }

  #bankFor(bytes: Bytes): ThreadBank {
    const last = this.#banks.at(-1);
    if (last?.hasRoom(bytes)) return last;
    const bank = new ThreadBank(this.module, this.shape);
    this.#banks.push(bank);
    return bank;
  }
}

function copyTo(bank: ThreadBank, bytes: Uint8Array): Address {
  const address = bank.allocate(bytes.byteLength);
  bank.kernels.bytes(address, bytes.byteLength).set(bytes);
  return address;
}

const countRows = (groups: readonly SlotRows[]): number => groups.reduce((sum, { count }) => sum + count, 0);

const rowsOf = (values: Float32Array, width: number, first: number, count: number): Float32Array =>
  values.subarray(first * width, (first + count) * width);
