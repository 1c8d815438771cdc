/** The weights of a stored model for the forward pass in float64, dequantized exactly. */
import type { ModelConfig } from '../../src/contract/import-api.ts';
import {
  denseKey,
  EMBEDDING_KEY,
  expertKey,
  isPartOf,
  type ModelManifest,
  OUTPUT_KEY,
  type RecordInfo,
} from '../format/manifest.ts';
import { recordMatrix } from '../format/quantization/record-rows.ts';

export interface ReferenceExpert {
  /** `[feedForwardLength, embeddingLength]` */
  gate: Float32Array;
  /** `[feedForwardLength, embeddingLength]` */
  up: Float32Array;
  /** `[embeddingLength, feedForwardLength]` */
  down: Float32Array;
}

export interface ReferenceLayer {
  /** `[embeddingLength]` */
  attnNorm: Float32Array;
  /** `[headCount * headDim, embeddingLength]` */
  attnQ: Float32Array;
  /** `[kvHeadCount * headDim, embeddingLength]` */
  attnK: Float32Array;
  /** `[kvHeadCount * headDim, embeddingLength]` */
  attnV: Float32Array;
  /** `[embeddingLength, headCount * headDim]` */
  attnOutput: Float32Array;
  /** `[embeddingLength]` */
  ffnNorm: Float32Array;
  /** `[expertCount, embeddingLength]` */
  router: Float32Array;
  expert(index: number): ReferenceExpert;
}

/** A model as {@link ReferencePass} computes it. Weights are f32, which holds the value of every weight type exactly. */
export interface ReferenceModel {
  config: ModelConfig;
  /** `[vocabularySize, embeddingLength]` */
  embedding: Float32Array;
  layers: ReferenceLayer[];
  /** `[embeddingLength]` */
  outputNorm: Float32Array;
  /** `[vocabularySize, embeddingLength]` */
  output: Float32Array;
}

/**
 * Reads a stored model. Experts are dequantized when they are first used, and everything stays in memory: about 4 bytes
 * per weight.
 * @param read returns the bytes of a record
 */
export async function readReferenceModel(
  { config, records }: Pick<ModelManifest, 'config' | 'records'>,
  read: (record: RecordInfo) => Promise<Uint8Array>,
): Promise<ReferenceModel> {
  const matrices = new Map<string, Matrices>();
  for (const record of records) matrices.set(record.key, new Matrices(record, await read(record)));
  const of = (key: string): Matrices => matrices.get(key)!;
  /** A vocabulary matrix, from all records that it is cut into. */
  const whole = (first: string, name: string): Float32Array =>
    joined(records.filter(({ key }) => isPartOf(key, first)).map(({ key }) => of(key).matrix(name)));
  return {
    config,
    embedding: whole(EMBEDDING_KEY, 'token_embd'),
    layers: Array.from({ length: config.layerCount }, (_, layer) =>
      readLayer(of(denseKey(layer)), (expert) => of(expertKey(layer, expert))),
    ),
    outputNorm: of(OUTPUT_KEY).matrix('output_norm'),
    output: whole(OUTPUT_KEY, 'output'),
  };
}

function readLayer(dense: Matrices, expertMatrices: (expert: number) => Matrices): ReferenceLayer {
  return {
    attnNorm: dense.matrix('attn_norm'),
    attnQ: dense.matrix('attn_q'),
    attnK: dense.matrix('attn_k'),
    attnV: dense.matrix('attn_v'),
    attnOutput: dense.matrix('attn_output'),
    ffnNorm: dense.matrix('ffn_norm'),
    router: dense.matrix('ffn_gate_inp'),
    expert: (index) => {
      const matrices = expertMatrices(index);
      return { gate: matrices.matrix('gate'), up: matrices.matrix('up'), down: matrices.matrix('down') };
    },
  };
}

/** The matrices of one record, each dequantized once. */
class Matrices {
  readonly #known = new Map<string, Float32Array>();

  constructor(
    private readonly record: RecordInfo,
    private readonly bytes: Uint8Array,
  ) {}

  matrix(name: string): Float32Array {
    const known = this.#known.get(name);
    if (known) return known;
    const layout = this.record.tensors.find((tensor) => tensor.name === name);
    if (!layout) throw new Error(`Record ${this.record.key} has no matrix ${name}.`);
    const weights = recordMatrix(this.bytes, layout);
    this.#known.set(name, weights);
    return weights;
  }
}

function joined(parts: readonly Float32Array[]): Float32Array {
  if (parts.length === 1) return parts[0];
  const whole = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
