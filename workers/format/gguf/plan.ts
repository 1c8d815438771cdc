/** From a header to records: which byte ranges of the GGUF make up which record. Pure. */

import { MixtabError } from '../../../src/contract/errors.ts';
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

/** A matrix of a record and where its bytes lie in the GGUF. */
export interface PlannedTensor {
  layout: TensorLayout;
  /** Name in the GGUF, for messages. */
  source: string;
  /** Type in the GGUF; norms are widened to F32 in the record, everything else keeps its type. */
  sourceType: WeightType;
  offset: Bytes;
  bytes: Bytes;
}

export interface PlannedRecord {
  key: string;
  bytes: Bytes;
  tensors: PlannedTensor[];
}

/** `merged`: one tensor for all gates, one for all ups; `fused`: one for both, an expert's gate before its up. */
export type ExpertsLayout = 'merged' | 'per-expert' | 'fused';

export interface ImportPlan {
  layout: ExpertsLayout;
  /** `rope_freqs.weight`, where the file has it: what each pair's frequency is divided by. */
  ropeFactors?: PlannedTensor;
  records: PlannedRecord[];
  /** Weights in all tensors. */
  parameterCount: number;
  /** Weights that one token uses: all but the experts not chosen (and the embedding's other rows are counted, as is usual). */
  activeParameterCount: number;
  /** Share of each type, by weights. */
  typeShares: Record<string, number>;
  /** Bytes of weights that one token reads: the dense ones and those of the chosen experts. */
  bytesPerToken: Bytes;
}

/**
 * A matrix that takes more is cut by rows into several records, so that each can be bound at WebGPU's default
 * limits and memory at import stays bounded: the output of a large vocabulary, the embedding in F16.
 */
export const MAX_MATRIX_BYTES: Bytes = 128 * 1024 * 1024;
/** Rows are cut at multiples of this: their f32 outputs then begin where WebGPU lets a binding begin. */
const ROW_CUT = 64;

/**
 * @param name of the file, for messages
 * @param maxMatrixBytes largest matrix that is kept whole (the embedding's and the output's are cut)
 * @throws MixtabError `gguf-missing-tensor`, `gguf-unsupported-type`, `gguf-unsupported-feature`, `gguf-damaged`
 */
export function planImport(
  name: string,
  header: GgufHeader,
  config: ModelConfig,
  maxMatrixBytes = MAX_MATRIX_BYTES,
): ImportPlan {
  const planner = new Planner(name, header);
  const { layerCount, embeddingLength, vocabularySize, expertCount } = config;
  const vocabularyMatrix = (source: string, role: string): Wanted => ({
    role,
    source,
    shape: [vocabularySize, embeddingLength],
  });

  const records = planner.cutRecord(EMBEDDING_KEY, vocabularyMatrix('token_embd.weight', 'token_embd'), maxMatrixBytes);
  for (let layer = 0; layer < layerCount; layer++) {
    const dense = DENSE_TENSORS.map((role) => ({
      role,
      source: `blk.${layer}.${role}.weight`,
      shape: denseShape(role, config),
    }));
    records.push(planner.record(denseKey(layer), dense));
    for (let expert = 0; expert < expertCount; expert++) {
      records.push(
        planner.record(expertKey(layer, expert), wantedExpert(planner.layoutOf(layer), layer, expert, config)),
      );
    }
  }
  // Without a matrix of its own the output uses the embedding, as llama.cpp does.
  const output = planner.has('output.weight') ? 'output.weight' : 'token_embd.weight';
  const norm: Wanted = { role: 'output_norm', source: 'output_norm.weight', shape: [1, embeddingLength] };
  records.push(...planner.cutRecord(OUTPUT_KEY, vocabularyMatrix(output, 'output'), maxMatrixBytes, [norm]));
  const ropeFactors = planner.has(ROPE_FACTORS)
    ? planner.record('', [{ role: 'rope_freqs', source: ROPE_FACTORS, shape: [1, config.ropeDimensionCount / 2] }])
        .tensors[0]
    : undefined;
  planner.refuseUnused();
  return { layout: planner.layoutOf(0), records, ...(ropeFactors && { ropeFactors }), ...count(records, config) };
}

/** Llama 3's way to stretch the context; one tensor for all layers. */
const ROPE_FACTORS = 'rope_freqs.weight';

/** [rows, cols] of a tensor of a layer; norms have one row. */
function denseShape(role: (typeof DENSE_TENSORS)[number], config: ModelConfig): [number, number] {
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

/** Where gate, up and down of an expert lie in each layout. */
function wantedExpert(layout: ExpertsLayout, layer: number, expert: number, config: ModelConfig): Wanted[] {
  const { embeddingLength, feedForwardLength, expertCount } = config;
  return EXPERT_TENSORS.map((role): Wanted => {
    const [rows, cols] = role === 'down' ? [embeddingLength, feedForwardLength] : [feedForwardLength, embeddingLength];
    const blk = `blk.${layer}.ffn`;
    if (layout === 'per-expert') return { role, source: `${blk}_${role}.${expert}.weight`, shape: [rows, cols] };
    if (layout === 'merged' || role === 'down') {
      return {
        role,
        source: `${blk}_${role}_exps.weight`,
        shape: [rows, cols],
        firstRow: expert * rows,
        whole: [cols, rows, expertCount],
      };
    }
    return {
      role,
      source: `${blk}_gate_up_exps.weight`,
      shape: [rows, cols],
      whole: [cols, 2 * rows, expertCount],
      firstRow: (2 * expert + (role === 'up' ? 1 : 0)) * rows,
    };
  });
}

interface Wanted {
  role: string;
  source: string;
  shape: [rows: number, cols: number];
  /** The whole tensor's shape as ggml counts, where the matrix is part of it. */
  whole?: number[];
  /** Where the matrix begins in the tensor. */
  firstRow?: number;
}

class Planner {
  readonly #tensors: Map<string, GgufTensor>;
  readonly #used = new Set<string>();

  constructor(
    readonly name: string,
    header: GgufHeader,
  ) {
    this.#tensors = new Map(header.tensors.map((tensor) => [tensor.name, tensor]));
  }

  has(source: string): boolean {
    return this.#tensors.has(source);
  }

  layoutOf(layer: number): ExpertsLayout {
    if (this.has(`blk.${layer}.ffn_gate_up_exps.weight`)) return 'fused';
    return this.has(`blk.${layer}.ffn_gate_exps.weight`) ? 'merged' : 'per-expert';
  }

  /**
   * A record that ends with a matrix, which is cut by rows where it takes more than `maxBytes`: the parts go to
   * records `<key>`, `<key>.1`, `<key>.2` ...
   */
  cutRecord(key: string, matrix: Wanted, maxBytes: Bytes, before: Wanted[] = []): PlannedRecord[] {
    const [rows, cols] = matrix.shape;
    const { layout } = this.#tensor(matrix, 0);
    const rowsThatFit = Math.floor((maxBytes * rows) / layout.bytes);
    const step = layout.bytes <= maxBytes ? rows : Math.max(ROW_CUT, Math.floor(rowsThatFit / ROW_CUT) * ROW_CUT);
    const records: PlannedRecord[] = [];
    for (let firstRow = 0; firstRow < rows; firstRow += step) {
      const part: Wanted = { ...matrix, shape: [Math.min(step, rows - firstRow), cols], firstRow, whole: [cols, rows] };
      records.push(this.record(partKey(key, records.length), firstRow === 0 ? [...before, part] : [part]));
    }
    return records;
  }

  record(key: string, wanted: Wanted[]): PlannedRecord {
    let offset = 0;
    const tensors = wanted.map((tensor) => {
      const planned = this.#tensor(tensor, offset);
      offset += planned.layout.bytes;
      return planned;
    });
    return { key, bytes: offset, tensors };
  }

  /** A tensor that nothing uses would change what the model computes, were it understood. */
  refuseUnused(): void {
    const unused = [...this.#tensors.keys()].filter((tensor) => !this.#used.has(tensor));
    if (unused.length === 0) return;
    throw new MixtabError(
      'gguf-unsupported-feature',
      `${this.name} has tensors that mixtab does not know: ${unused.slice(0, 3).join(', ')}${unused.length > 3 ? ` and ${unused.length - 3} more` : ''}.`,
      'Use another file.',
    );
  }

  #tensor({ role, source, shape: [rows, cols], whole, firstRow = 0 }: Wanted, offset: Bytes): PlannedTensor {
    const tensor = this.#tensors.get(source);
    if (!tensor) {
      throw new MixtabError(
        'gguf-missing-tensor',
        `${this.name} has no tensor ${source}.`,
        'The file is incomplete; use another one.',
      );
    }
    this.#used.add(source);
    const expected = whole ?? (rows === 1 ? [cols] : [cols, rows]);
    const actual = tensor.shape.filter((n, i) => i < expected.length || n !== 1);
    if (expected.join() !== actual.join()) {
      throw new MixtabError(
        'gguf-damaged',
        `${this.name}: tensor ${source} has the shape [${tensor.shape.join(', ')}] where [${expected.join(', ')}] is needed.`,
        'The file is damaged or of an unknown kind; use another one.',
      );
    }
    const sourceType = weightTypeOf(tensor.ggmlType);
    if (!sourceType) {
      throw new MixtabError(
        'gguf-unsupported-type',
        `${this.name}: tensor ${source} has the type ${ggmlTypeName(tensor.ggmlType)}, which mixtab does not support yet.`,
        `Use a file of one of the types ${Object.keys(WEIGHT_TYPES).join(', ')}.`,
      );
    }
    const isVector = role.endsWith('_norm') || role === 'rope_freqs';
    const type = isVector ? WEIGHT_TYPES.F32 : sourceType;
    return {
      layout: layoutTensor(role, type, rows, cols, offset),
      source,
      sourceType,
      offset: tensor.offset + ggufBytes(sourceType, firstRow, cols),
      bytes: ggufBytes(sourceType, rows, cols),
    };
  }
}

function count(records: readonly PlannedRecord[], { layerCount, expertsPerToken, expertCount }: ModelConfig) {
  const byType: Record<string, number> = {};
  const seen = new Set<string>();
  const dense = { weights: 0, bytes: 0 };
  const experts = { weights: 0, bytes: 0 };
  for (const { key, tensors } of records) {
    for (const { layout, source, sourceType, offset, bytes } of tensors) {
      const id = `${source}@${offset}`;
      if (seen.has(id)) continue; // a tied output is the embedding
      seen.add(id);
      const weights = layout.rows * layout.cols;
      byType[sourceType.name] = (byType[sourceType.name] ?? 0) + weights;
      const part = isExpertKey(key) ? experts : dense;
      part.weights += weights;
      if (!isPartOf(key, EMBEDDING_KEY)) part.bytes += bytes;
    }
  }
  const parameterCount = dense.weights + experts.weights;
  const chosen = layerCount > 0 ? expertsPerToken / expertCount : 0;
  return {
    parameterCount,
    activeParameterCount: dense.weights + Math.round(experts.weights * chosen),
    typeShares: Object.fromEntries(Object.entries(byType).map(([type, weights]) => [type, weights / parameterCount])),
    bytesPerToken: dense.bytes + Math.round(experts.bytes * chosen),
  };
}
