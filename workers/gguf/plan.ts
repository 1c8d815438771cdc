/** From a header to records: which byte ranges of the GGUF make up which record. Pure. */
import type { ModelConfig } from '../../src/contract/engine-api.ts';
import { MixtabError } from '../../src/contract/errors.ts';
import type { Bytes } from '../../src/contract/ids.ts';
import {
  DENSE_TENSORS, denseKey, EMBEDDING_KEY, EXPERT_TENSORS, expertKey, layoutTensor, OUTPUT_KEY, type TensorLayout,
  WEIGHT_TYPES, type WeightType, weightTypeOf,
} from '../../src/contract/weight-layout.ts';
import { type GgufHeader, type GgufTensor, typeName } from './header.ts';
import { ggufBytes } from './repack.ts';

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

export interface ImportPlan {
  layout: 'merged' | 'per-expert';
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
 * @param name of the file, for messages
 * @throws MixtabError `gguf-missing-tensor`, `gguf-unsupported-type`, `gguf-unsupported-feature`, `gguf-damaged`
 */
export function planImport(name: string, header: GgufHeader, config: ModelConfig): ImportPlan {
  const planner = new Planner(name, header);
  const { layerCount, embeddingLength, feedForwardLength, headCount, kvHeadCount, headDim, vocabularySize, expertCount } = config;
  const merged = planner.has('blk.0.ffn_gate_exps.weight');
  const queryRows = headCount * headDim;
  const kvRows = kvHeadCount * headDim;
  /** [rows, cols] of each tensor of a layer; norms have one row. */
  const denseShapes: Record<(typeof DENSE_TENSORS)[number], [number, number]> = {
    attn_norm: [1, embeddingLength],
    attn_q: [queryRows, embeddingLength],
    attn_k: [kvRows, embeddingLength],
    attn_v: [kvRows, embeddingLength],
    attn_output: [embeddingLength, queryRows],
    ffn_norm: [1, embeddingLength],
    ffn_gate_inp: [expertCount, embeddingLength],
  };
  const expertShapes: Record<(typeof EXPERT_TENSORS)[number], [number, number]> = {
    gate: [feedForwardLength, embeddingLength],
    up: [feedForwardLength, embeddingLength],
    down: [embeddingLength, feedForwardLength],
  };

  const records = [planner.record(EMBEDDING_KEY, [{ role: 'token_embd', source: 'token_embd.weight', shape: [vocabularySize, embeddingLength] }])];
  for (let layer = 0; layer < layerCount; layer++) {
    const dense = DENSE_TENSORS.map((role) => ({ role, source: `blk.${layer}.${role}.weight`, shape: denseShapes[role] }));
    records.push(planner.record(denseKey(layer), dense));
    for (let expert = 0; expert < expertCount; expert++) {
      const tensors = EXPERT_TENSORS.map((role) => ({
        role,
        source: merged ? `blk.${layer}.ffn_${role}_exps.weight` : `blk.${layer}.ffn_${role}.${expert}.weight`,
        shape: expertShapes[role],
        ...(merged && { slice: [expert, expertCount] as [number, number] }),
      }));
      records.push(planner.record(expertKey(layer, expert), tensors));
    }
    checkAlike(name, layer, records.slice(-expertCount));
  }
  // Without a matrix of its own the output uses the embedding, as llama.cpp does.
  const output = planner.has('output.weight') ? 'output.weight' : 'token_embd.weight';
  records.push(
    planner.record(OUTPUT_KEY, [
      { role: 'output_norm', source: 'output_norm.weight', shape: [1, embeddingLength] },
      { role: 'output', source: output, shape: [vocabularySize, embeddingLength] },
    ]),
  );
  planner.refuseUnused();
  return { layout: merged ? 'merged' : 'per-expert', records, ...count(records, config) };
}

interface Wanted {
  role: string;
  source: string;
  shape: [rows: number, cols: number];
  /** Which of how many equal slices of the tensor. */
  slice?: [index: number, count: number];
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

  #tensor({ role, source, shape: [rows, cols], slice = [0, 1] }: Wanted, offset: Bytes): PlannedTensor {
    const tensor = this.#tensors.get(source);
    if (!tensor) {
      throw new MixtabError('gguf-missing-tensor', `${this.name} has no tensor ${source}.`, 'The file is incomplete; use another one.');
    }
    this.#used.add(source);
    const [index, count] = slice;
    const expected = count > 1 ? [cols, rows, count] : rows === 1 ? [cols] : [cols, rows];
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
        `${this.name}: tensor ${source} has the type ${typeName(tensor.ggmlType)}, which mixtab does not support yet.`,
        `Use a file of one of the types ${Object.keys(WEIGHT_TYPES).join(', ')}.`,
      );
    }
    const isNorm = role.endsWith('_norm');
    const type = isNorm ? WEIGHT_TYPES.F32 : sourceType;
    const bytes = ggufBytes(sourceType, rows, cols);
    return { layout: layoutTensor(role, type, rows, cols, offset), source, sourceType, offset: tensor.offset + index * bytes, bytes };
  }
}

/** Slots of a layer are of one size and type. */
function checkAlike(name: string, layer: number, experts: readonly PlannedRecord[]): void {
  const typesOf = (record: PlannedRecord) => record.tensors.map(({ layout }) => layout.type).join(' ');
  const [first] = experts;
  const other = experts.find((record) => typesOf(record) !== typesOf(first));
  const [gate, up] = first.tensors;
  if (!other && gate.layout.type === up.layout.type) return;
  throw new MixtabError(
    'gguf-unsupported-feature',
    other
      ? `${name}: experts of layer ${layer} have different types (${typesOf(first)} and ${typesOf(other)}).`
      : `${name}: gate and up of layer ${layer}'s experts have different types (${typesOf(first)}).`,
    'Use another file.',
  );
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
      const part = key.includes('.E') ? experts : dense;
      part.weights += weights;
      if (key !== EMBEDDING_KEY) part.bytes += bytes;
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
