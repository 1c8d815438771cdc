/** Plans an import: which byte ranges of the GGUF go into which record. Nothing is read here. */
import { excerpt, MixtabError } from '../../../src/contract/errors.ts';
import type { Bytes } from '../../../src/contract/ids.ts';
import type { ModelConfig } from '../../../src/contract/import-api.ts';
import {
  DENSE_TENSORS,
  denseKey,
  EMBEDDING_KEY,
  EXPERT_TENSORS,
  expertKey,
  isExpertKey,
  isPartOf,
  OUTPUT_KEY,
  partKey,
} from '../manifest.ts';
import { ggufBytes } from '../quantization/repack.ts';
import { layoutTensor, type TensorLayout, WEIGHT_TYPES, type WeightType, weightTypeOf } from '../weight-layout.ts';
import { type GgufHeader, type GgufTensor, ggmlTypeName } from './header.ts';

/** A matrix of a record, and where its bytes are in the GGUF. */
export interface PlannedTensor {
  layout: TensorLayout;
  /** Name of the tensor in the GGUF. */
  source: string;
  /** Type in the GGUF. Norms become F32 in the record; everything else keeps its type. */
  sourceType: WeightType;
  /** Start of the matrix in the file. */
  offset: Bytes;
  /** Bytes of the matrix in the file. */
  bytes: Bytes;
}

/** A record, and the matrices that it consists of. */
export interface PlannedRecord {
  key: string;
  bytes: Bytes;
  tensors: PlannedTensor[];
}

/**
 * How a layer's experts are stored in the GGUF.
 * - `merged`: one tensor with the gates of all experts, one with the ups, one with the downs.
 * - `per-expert`: three tensors for each expert.
 * - `fused`: as `merged`, but gates and ups share a tensor, in which each expert's gate precedes its up.
 */
export type ExpertsLayout = 'merged' | 'per-expert' | 'fused';

/** The records that an import makes, and their sizes. */
export interface ImportPlan {
  layout: ExpertsLayout;
  /** `rope_freqs.weight`, if the file has it: the divisor of each dimension pair's frequency. */
  ropeFactors?: PlannedTensor;
  records: PlannedRecord[];
  /** Number of weights in all tensors. */
  parameterCount: number;
  /**
   * Number of weights that one token uses: all but those of the unselected experts. The whole embedding counts, as
   * usual.
   */
  activeParameterCount: number;
  /** Share of each weight type, by number of weights. The sum is 1. */
  typeShares: Record<string, number>;
  /** Bytes of weights that one token reads: the dense ones and those of the selected experts. */
  bytesPerToken: Bytes;
}

/**
 * Largest matrix that is not cut. Larger vocabulary matrices are cut by rows into several records, so that each can be
 * bound at WebGPU's default limits and the import's memory stays bounded. Examples: the output of a large vocabulary,
 * the embedding in F16.
 */
export const MAX_MATRIX_BYTES: Bytes = 128 * 1024 * 1024;
/**
 * Matrices are cut at multiples of this many rows. Then the f32 outputs of each part begin at a valid binding offset.
 */
const ROW_CUT = 64;
/** Llama 3's way to extend the context: one tensor for all layers. */
const ROPE_FACTORS = 'rope_freqs.weight';

/** A matrix that a record needs: a whole tensor of the GGUF or some rows of one. */
interface MatrixSpec {
  /** Name of the matrix in the record. */
  role: string;
  /** Name of the tensor in the GGUF. */
  source: string;
  shape: [rows: number, cols: number];
  /** Shape of the tensor as ggml orders it, if the matrix is only a part of it. */
  tensorShape?: number[];
  /** First row of the matrix in the tensor. Default: 0. */
  firstRow?: number;
}

/**
 * Plans the records of a model, in the order of the manifest.
 * @param name of the file, for messages
 * @param maxMatrixBytes largest vocabulary matrix that is not cut
 * @throws MixtabError `gguf-missing-tensor`, `gguf-unsupported-type`, `gguf-unsupported-feature`, `gguf-damaged`
 */
export function planImport(
  name: string,
  header: GgufHeader,
  config: ModelConfig,
  maxMatrixBytes = MAX_MATRIX_BYTES,
): ImportPlan {
  const planner = new Planner(name, header);
  const { embeddingLength, vocabularySize } = config;
  const vocabularyMatrix = (source: string, role: string): MatrixSpec => ({
    role,
    source,
    shape: [vocabularySize, embeddingLength],
  });

  const embedding = vocabularyMatrix('token_embd.weight', 'token_embd');
  const records = planner.cutRecord(EMBEDDING_KEY, embedding, { maxBytes: maxMatrixBytes });
  for (let layer = 0; layer < config.layerCount; layer++) records.push(...planLayer(planner, layer, config));
  // Without its own matrix, the output uses the embedding, as in llama.cpp.
  const output = vocabularyMatrix(planner.has('output.weight') ? 'output.weight' : 'token_embd.weight', 'output');
  const norm: MatrixSpec = { role: 'output_norm', source: 'output_norm.weight', shape: [1, embeddingLength] };
  records.push(...planner.cutRecord(OUTPUT_KEY, output, { maxBytes: maxMatrixBytes, before: [norm] }));
  const ropeFactors = planRopeFactors(planner, config);
  planner.refuseUnused();
  return {
    layout: planner.layoutOf(0),
    records,
    ...(ropeFactors && { ropeFactors }),
    ...countWeights(records, config),
  };
}

/** The records of one layer: the dense one, then one per expert. */
function planLayer(planner: Planner, layer: number, config: ModelConfig): PlannedRecord[] {
  const dense = DENSE_TENSORS.map((role) => denseMatrix(planner, layer, role, config));
  const layout = planner.layoutOf(layer);
  const experts = Array.from({ length: config.expertCount }, (_, expert) =>
    planner.record(expertKey(layer, expert), expertMatrices(layout, layer, expert, config)),
  );
  return [planner.record(denseKey(layer), dense), ...experts];
}

type DenseRole = (typeof DENSE_TENSORS)[number];

/**
 * Where a dense matrix of a layer is in the GGUF. Some converters write queries, keys and values as one tensor: the
 * rows of the queries, then those of the keys, then those of the values.
 */
function denseMatrix(planner: Planner, layer: number, role: DenseRole, config: ModelConfig): MatrixSpec {
  const [rows, cols] = denseShape(role, config);
  const fused = `blk.${layer}.attn_qkv.weight`;
  const part = QKV.indexOf(role);
  if (part < 0 || !planner.has(fused)) return { role, source: `blk.${layer}.${role}.weight`, shape: [rows, cols] };
  const heights = QKV.map((each) => denseShape(each, config)[0]);
  const sumOf = (some: number[]): number => some.reduce((sum, n) => sum + n, 0);
  return {
    role,
    source: fused,
    shape: [rows, cols],
    tensorShape: [cols, sumOf(heights)],
    firstRow: sumOf(heights.slice(0, part)),
  };
}

/** The matrices of a fused `attn_qkv`, in their order. */
const QKV: readonly DenseRole[] = ['attn_q', 'attn_k', 'attn_v'];

function planRopeFactors(planner: Planner, { ropeDimensionCount }: ModelConfig): PlannedTensor | undefined {
  if (!planner.has(ROPE_FACTORS)) return undefined;
  const factors: MatrixSpec = { role: 'rope_freqs', source: ROPE_FACTORS, shape: [1, ropeDimensionCount / 2] };
  return planner.record('', [factors]).tensors[0];
}

/** `[rows, cols]` of a dense tensor of a layer. Norms have one row. */
function denseShape(role: DenseRole, config: ModelConfig): [number, number] {
  const { embeddingLength, headCount, kvHeadCount, headDim, expertCount } = config;
  const kv: [number, number] = [kvHeadCount * headDim, embeddingLength];
  const shapes: Record<typeof role, [number, number]> = {
    attn_norm: [1, embeddingLength],
    attn_q: [headCount * headDim, embeddingLength],
    attn_k: kv,
    attn_v: kv,
    attn_output: [embeddingLength, headCount * headDim],
    ffn_norm: [1, embeddingLength],
    ffn_gate_inp: [expertCount, embeddingLength],
  };
  return shapes[role];
}

/** Where an expert's gate, up and down are in the GGUF. */
function expertMatrices(layout: ExpertsLayout, layer: number, expert: number, config: ModelConfig): MatrixSpec[] {
  const { embeddingLength, feedForwardLength, expertCount } = config;
  const ffn = `blk.${layer}.ffn`;
  return EXPERT_TENSORS.map((role): MatrixSpec => {
    const [rows, cols] = role === 'down' ? [embeddingLength, feedForwardLength] : [feedForwardLength, embeddingLength];
    if (layout === 'per-expert') return { role, source: `${ffn}_${role}.${expert}.weight`, shape: [rows, cols] };
    if (layout === 'merged' || role === 'down') {
      return {
        role,
        source: `${ffn}_${role}_exps.weight`,
        shape: [rows, cols],
        tensorShape: [cols, rows, expertCount],
        firstRow: expert * rows,
      };
    }
    return {
      role,
      source: `${ffn}_gate_up_exps.weight`,
      shape: [rows, cols],
      tensorShape: [cols, 2 * rows, expertCount],
      firstRow: (2 * expert + (role === 'up' ? 1 : 0)) * rows,
    };
  });
}

/** Looks up tensors, checks them, and remembers which were used. */
class Planner {
  readonly #tensors: Map<string, GgufTensor>;
  readonly #used = new Set<string>();

  constructor(
    private readonly name: string,
    header: GgufHeader,
  ) {
    this.#tensors = new Map(header.tensors.map((tensor) => [tensor.name, tensor]));
  }

  /** Whether the GGUF has a tensor of this name. */
  has(source: string): boolean {
    return this.#tensors.has(source);
  }

  layoutOf(layer: number): ExpertsLayout {
    if (this.has(`blk.${layer}.ffn_gate_up_exps.weight`)) return 'fused';
    return this.has(`blk.${layer}.ffn_gate_exps.weight`) ? 'merged' : 'per-expert';
  }

  /**
   * A record that ends with a matrix. If the matrix takes more than `maxBytes`, it is cut by rows into the records
   * `key`, `key.1`, `key.2` ...
   * @param before matrices that precede it in the first record
   */
  cutRecord(
    key: string,
    matrix: MatrixSpec,
    { maxBytes, before = [] }: { maxBytes: Bytes; before?: MatrixSpec[] },
  ): PlannedRecord[] {
    const [rows, cols] = matrix.shape;
    const { layout } = this.#plan(matrix, 0);
    const rowsThatFit = Math.floor((maxBytes * rows) / layout.bytes);
    const step = layout.bytes <= maxBytes ? rows : Math.max(ROW_CUT, Math.floor(rowsThatFit / ROW_CUT) * ROW_CUT);
    const records: PlannedRecord[] = [];
    for (let firstRow = 0; firstRow < rows; firstRow += step) {
      const shape: [number, number] = [Math.min(step, rows - firstRow), cols];
      const part: MatrixSpec = { ...matrix, shape, firstRow, tensorShape: [cols, rows] };
      records.push(this.record(partKey(key, records.length), firstRow === 0 ? [...before, part] : [part]));
    }
    return records;
  }

  record(key: string, matrices: MatrixSpec[]): PlannedRecord {
    let offset = 0;
    const tensors = matrices.map((matrix) => {
      const planned = this.#plan(matrix, offset);
      offset += planned.layout.bytes;
      return planned;
    });
    return { key, bytes: offset, tensors };
  }

  /**
   * Refuses files with tensors that no record uses, for example biases. Ignoring them would compute another model.
   * @throws MixtabError `gguf-unsupported-feature`
   */
  refuseUnused(): void {
    const unused = [...this.#tensors.keys()].filter((tensor) => !this.#used.has(tensor));
    if (unused.length === 0) return;
    const rest = unused.length > 3 ? ` and ${unused.length - 3} more` : '';
    throw new MixtabError(
      'gguf-unsupported-feature',
      `${this.name} has tensors that mixtab does not support: ${unused
        .slice(0, 3)
        .map((tensor) => excerpt(tensor))
        .join(', ')}${rest}.`,
      'Use another file.',
    );
  }

  /** Plans a matrix that begins at `offset` of its record. */
  #plan(matrix: MatrixSpec, offset: Bytes): PlannedTensor {
    const { role, source, firstRow = 0 } = matrix;
    const [rows, cols] = matrix.shape;
    const tensor = this.#tensors.get(source);
    if (!tensor) {
      throw new MixtabError(
        'gguf-missing-tensor',
        `${this.name} is incomplete: it has no tensor ${source}.`,
        'Use another file.',
      );
    }
    this.#used.add(source);
    this.#checkShape(tensor, matrix);
    const sourceType = this.#typeOf(tensor);
    const isVector = role.endsWith('_norm') || role === 'rope_freqs';
    return {
      layout: layoutTensor(role, isVector ? WEIGHT_TYPES.F32 : sourceType, rows, cols, offset),
      source,
      sourceType,
      offset: tensor.offset + ggufBytes(sourceType, firstRow, cols),
      bytes: ggufBytes(sourceType, rows, cols),
    };
  }

  #checkShape(tensor: GgufTensor, { shape: [rows, cols], tensorShape }: MatrixSpec): void {
    const expected = tensorShape ?? (rows === 1 ? [cols] : [cols, rows]);
    // Trailing dimensions of 1 do not matter.
    const actual = tensor.shape.filter((n, i) => i < expected.length || n !== 1);
    if (expected.join() === actual.join()) return;
    const [found, needed] = [tensor.shape, expected].map((dimensions) => `[${dimensions.join(', ')}]`);
    throw new MixtabError(
      'gguf-damaged',
      `${this.name} is damaged or unusual: tensor ${tensor.name} has the shape ${found} instead of ${needed}.`,
      'Use another file.',
    );
  }

  #typeOf({ name, ggmlType }: GgufTensor): WeightType {
    const type = weightTypeOf(ggmlType);
    if (type) return type;
    throw new MixtabError(
      'gguf-unsupported-type',
      `${this.name}: tensor ${name} has the type ${ggmlTypeName(ggmlType)}, which mixtab does not support.`,
      `Use a file with the types ${Object.keys(WEIGHT_TYPES).join(', ')}.`,
    );
  }
}

function countWeights(
  records: readonly PlannedRecord[],
  { layerCount, expertsPerToken, expertCount }: ModelConfig,
): Pick<ImportPlan, 'parameterCount' | 'activeParameterCount' | 'typeShares' | 'bytesPerToken'> {
  const weightsByType: Record<string, number> = {};
  const seen = new Set<string>();
  const dense = { weights: 0, bytes: 0 };
  const experts = { weights: 0, bytes: 0 };
  for (const { key, tensors } of records) {
    for (const { layout, source, sourceType, offset, bytes } of tensors) {
      const sums = isExpertKey(key) ? experts : dense;
      // A token reads one row of the embedding, but all of an output, even if that is the embedding.
      if (!isPartOf(key, EMBEDDING_KEY)) sums.bytes += bytes;
      const id = `${source}@${offset}`;
      if (seen.has(id)) continue; // its weights count once
      seen.add(id);
      const weights = layout.rows * layout.cols;
      weightsByType[sourceType.name] = (weightsByType[sourceType.name] ?? 0) + weights;
      sums.weights += weights;
    }
  }
  const parameterCount = dense.weights + experts.weights;
  const activeShare = layerCount > 0 ? expertsPerToken / expertCount : 0;
  return {
    parameterCount,
    activeParameterCount: dense.weights + Math.round(experts.weights * activeShare),
    typeShares: Object.fromEntries(
      Object.entries(weightsByType).map(([type, weights]) => [type, weights / parameterCount]),
    ),
    bytesPerToken: dense.bytes + Math.round(experts.bytes * activeShare),
  };
}
