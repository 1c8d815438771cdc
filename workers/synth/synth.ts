/**
 * Synthetic Mixtral GGUFs of any size and type, made on the fly: `read` gives any byte range, nothing
 * is stored. Weights are random but tame: activations keep their scale through the layers, routers
 * and logits have clear winners, so that greedy decoding is no coin toss.
 */
import type { Bytes } from '../../src/contract/ids.ts';
import { BYTE_CHARACTERS } from '../format/pre-tokenizers.ts';
import { dequantize } from '../format/quantization/dequantize.ts';
import { ggufBytes, isPlain } from '../format/quantization/repack.ts';
import { WEIGHT_TYPES, type WeightTypeName } from '../format/weight-layout.ts';
import { alignUp, type MetadataValue, type TensorEntry, writeHeader } from './header-writer.ts';
import { type BlockRecipe, hashName, writeBlock, zeroBlock } from './random-blocks.ts';
import { byteBpeVocabulary, FIRST_PIECE, synthVocabulary } from './vocabulary.ts';

export interface SynthOptions {
  name?: string;
  layers: number;
  embeddingLength: number;
  feedForwardLength: number;
  headCount: number;
  kvHeadCount: number;
  /** Default: embeddingLength / headCount. */
  headDim?: number;
  expertCount: number;
  expertsPerToken: number;
  vocabularySize: number;
  /** A byte-level BPE vocabulary, whose words are cut in this way; default: a SentencePiece one. */
  pre?: string;
  /** SentencePiece: no dummy space before a text, and pieces that are cut out of it before anything is merged. */
  spacePrefix?: boolean;
  userDefined?: readonly string[];
  contextLength: number;
  ropeFreqBase?: number;
  /** Types by role; `experts` for gate and up. */
  types: {
    attention: WeightTypeName;
    experts: WeightTypeName;
    down: WeightTypeName;
    embedding: WeightTypeName;
    output: WeightTypeName;
    router: WeightTypeName;
  };
  /** Types of single matrices, by a pattern that their name (in the per-expert layout) matches; the last one counts. */
  overrides?: [pattern: string, type: WeightTypeName][];
  layout: 'merged' | 'per-expert' | 'fused';
  /**
   * What attention and experts add to the residual, to what random weights add (default 1). Less, and the residual changes
   * slowly from layer to layer, as in trained models: the next layer's router can be predicted.
   */
  residualScale?: number;
  seed: number;
  chatTemplate?: string;
  /** Further metadata, or other values of keys that there are. */
  metadata?: Record<string, MetadataValue>;
  /** `rope_freqs.weight`, one factor for each pair of a head's dimensions. */
  ropeFactors?: number[];
  /** The same weights, dequantized: every tensor in F32, merged layout. */
  f32Twin?: boolean;
}

export interface SynthFile {
  size: Bytes;
  /** Bytes offset .. offset + length - 1 of the file. */
  read(offset: Bytes, length: Bytes): Uint8Array<ArrayBuffer>;
}

/** One matrix, or one expert's slice of a merged tensor. */
interface Part {
  recipe: BlockRecipe;
  rows: number;
  cols: number;
  /** Rows that are all zero: control and byte tokens must never win. */
  zeroRows: number;
  /** Instead of random weights. */
  values?: Float32Array;
}

interface SynthTensor {
  entry: TensorEntry;
  parts: Part[];
}

/** Every tensor of one type. */
export const uniformTypes = (type: WeightTypeName): SynthOptions['types'] => ({
  attention: type,
  experts: type,
  down: type,
  embedding: type,
  output: type,
  router: 'F32',
});

export function createSynth(options: SynthOptions): SynthFile {
  return fileOf(metadataOf(options), planTensors(options), options.f32Twin ?? false);
}

/**
 * The same model as a split GGUF of `count` files of about equal size, as llama-gguf-split writes them: all metadata in
 * the first, tensors in order.
 * @param emptyFirst the first file has no tensor, as `--no-tensor-first-split` writes it
 */
export function createSplitSynth(options: SynthOptions, count: number, emptyFirst = false): SynthFile[] {
  const tensors = planTensors(options);
  const total = tensors.reduce((sum, { entry }) => sum + entry.bytes, 0);
  const groups: SynthTensor[][] = Array.from({ length: count }, () => []);
  const fullParts = emptyFirst ? count - 1 : count;
  let before = 0;
  for (const tensor of tensors) {
    const part = Math.min(fullParts - 1, Math.floor((before * fullParts) / total));
    groups[part + count - fullParts].push(tensor);
    before += tensor.entry.bytes;
  }
  return groups.map((group, part) =>
    fileOf(
      {
        ...(part === 0 && metadataOf(options)),
        'split.no': { u16: part },
        'split.count': { u16: count },
        'split.tensors.count': { i32: tensors.length },
      },
      group,
      options.f32Twin ?? false,
    ),
  );
}

function fileOf(metadata: Record<string, MetadataValue>, tensors: readonly SynthTensor[], twin: boolean): SynthFile {
  const header = writeHeader(
    metadata,
    tensors.map(({ entry }) => entry),
  );
  const positioned: { start: Bytes; tensor: SynthTensor }[] = [];
  let size = header.byteLength;
  for (const tensor of tensors) {
    positioned.push({ start: size, tensor });
    size += alignUp(tensor.entry.bytes);
  }
  return {
    size,
    read(offset, length) {
      const out = new Uint8Array(length);
      const end = offset + length;
      if (offset < header.byteLength) out.set(header.subarray(offset, Math.min(end, header.byteLength)));
      for (let i = firstEndingAfter(positioned, offset); i < positioned.length && positioned[i].start < end; i++) {
        const { start, tensor } = positioned[i];
        const from = Math.max(offset, start);
        const to = Math.min(end, start + tensor.entry.bytes);
        if (to > from) writeRange(tensor, twin, from - start, out.subarray(from - offset, to - offset));
      }
      return out;
    },
  };
}

/** Binary search: files have up to a thousand tensors, reads come by the thousand too. */
function firstEndingAfter(positioned: readonly { start: Bytes; tensor: SynthTensor }[], offset: Bytes): number {
  let low = 0;
  let high = positioned.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (positioned[middle].start + positioned[middle].tensor.entry.bytes <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Fills `out` with the tensor's bytes from `offset`. */
function writeRange({ parts }: SynthTensor, twin: boolean, offset: Bytes, out: Uint8Array): void {
  const { recipe, rows, cols } = parts[0];
  const type = WEIGHT_TYPES[recipe.type];
  const partBytes = twin ? rows * cols * 4 : ggufBytes(type, rows, cols);
  let at = offset;
  while (at < offset + out.byteLength) {
    const index = Math.floor(at / partBytes);
    const within = at - index * partBytes;
    const length = Math.min(partBytes - within, offset + out.byteLength - at);
    writePart(parts[index], twin, within, out.subarray(at - offset, at - offset + length));
    at += length;
  }
}

/** Plain types are made in runs of 32 weights from the matrix's start; a matrix may end within a run. */
function writePart({ recipe, cols, zeroRows, values }: Part, twin: boolean, offset: Bytes, out: Uint8Array): void {
  if (values) {
    out.set(new Uint8Array(values.buffer, values.byteOffset + offset, out.byteLength));
    return;
  }
  const type = WEIGHT_TYPES[recipe.type];
  const bytesOfRun = twin ? type.blockWeights * 4 : type.blockBytes;
  const block = new Uint8Array(type.blockBytes);
  const first = Math.floor(offset / bytesOfRun);
  const last = Math.ceil((offset + out.byteLength) / bytesOfRun);
  const zeroWeights = zeroRows * cols;
  for (let n = first; n < last; n++) {
    if (n * type.blockWeights < zeroWeights) zeroBlock(recipe.type, block, 0);
    else writeBlock(recipe, n, block, 0);
    const bytes = twin ? new Uint8Array(dequantize(recipe.type, block).buffer) : block;
    const from = Math.max(offset, n * bytesOfRun);
    const to = Math.min(offset + out.byteLength, (n + 1) * bytesOfRun);
    out.set(bytes.subarray(from - n * bytesOfRun, to - n * bytesOfRun), from - offset);
  }
}

function planTensors(options: SynthOptions): SynthTensor[] {
  const {
    layers,
    embeddingLength,
    feedForwardLength,
    headCount,
    kvHeadCount,
    expertCount,
    vocabularySize,
    types,
    seed,
  } = options;
  const { residualScale = 1 } = options;
  const headDim = options.headDim ?? embeddingLength / headCount;
  const tensors: SynthTensor[] = [];
  const overrides = (options.overrides ?? []).map(([pattern, type]) => ({ pattern: new RegExp(pattern), type }));
  const part = (name: string, type: WeightTypeName, rows: number, cols: number, gain = 1, zeroRows = 0): Part => ({
    recipe: {
      type: overrides.findLast(({ pattern }) => pattern.test(name))?.type ?? type,
      seed: hashName(name, seed),
      deviation: gain / Math.sqrt(cols),
    },
    rows,
    cols,
    zeroRows,
  });
  const add = (name: string, shape: number[], parts: Part[]): void => {
    const type = options.f32Twin ? WEIGHT_TYPES.F32 : WEIGHT_TYPES[parts[0].recipe.type];
    if (!options.f32Twin && parts.some(({ recipe }) => recipe.type !== type.name))
      throw new RangeError(`${name}: one tensor has one type`);
    const bytes = parts.reduce((sum, { rows, cols }) => sum + ggufBytes(type, rows, cols), 0);
    if (!isPlain(type) && parts[0].cols % type.blockWeights !== 0) {
      throw new RangeError(
        `${name}: rows of ${parts[0].cols} weights are no whole ${type.name} blocks of ${type.blockWeights}`,
      );
    }
    tensors.push({ entry: { name, shape, ggmlType: type.ggmlType, bytes }, parts });
  };
  const matrix = (
    name: string,
    type: WeightTypeName,
    rows: number,
    cols: number,
    gain?: number,
    zeroRows?: number,
  ): void => add(name, [cols, rows], [part(name, type, rows, cols, gain, zeroRows)]);
  const norm = (name: string): void =>
    add(
      name,
      [embeddingLength],
      [
        {
          recipe: { type: 'F32', seed: hashName(name, seed), deviation: 0.1, mean: 1 },
          rows: 1,
          cols: embeddingLength,
          zeroRows: 0,
        },
      ],
    );

  matrix('token_embd.weight', types.embedding, vocabularySize, embeddingLength, Math.sqrt(embeddingLength));
  for (let layer = 0; layer < layers; layer++) {
    const blk = `blk.${layer}`;
    norm(`${blk}.attn_norm.weight`);
    matrix(`${blk}.attn_q.weight`, types.attention, headCount * headDim, embeddingLength);
    matrix(`${blk}.attn_k.weight`, types.attention, kvHeadCount * headDim, embeddingLength);
    matrix(`${blk}.attn_v.weight`, types.attention, kvHeadCount * headDim, embeddingLength);
    matrix(`${blk}.attn_output.weight`, types.attention, embeddingLength, headCount * headDim, residualScale);
    norm(`${blk}.ffn_norm.weight`);
    // A gain of 3 spreads the router's logits: two experts seldom tie.
    matrix(`${blk}.ffn_gate_inp.weight`, types.router, expertCount, embeddingLength, 3);
    // Named alike in all layouts: the same weights.
    const experts = (role: string, type: WeightTypeName, rows: number, cols: number, gain?: number): Part[] =>
      Array.from({ length: expertCount }, (_, e) => part(`${blk}.ffn_${role}.${e}.weight`, type, rows, cols, gain));
    const gates = experts('gate', types.experts, feedForwardLength, embeddingLength);
    const ups = experts('up', types.experts, feedForwardLength, embeddingLength);
    const downs = experts('down', types.down, embeddingLength, feedForwardLength, residualScale);
    const layout = options.f32Twin ? 'merged' : options.layout;
    const merged = (role: string, parts: Part[]): void =>
      add(
        `${blk}.ffn_${role}_exps.weight`,
        [parts[0].cols, (parts[0].rows * parts.length) / expertCount, expertCount],
        parts,
      );
    if (layout === 'fused')
      merged(
        'gate_up',
        gates.flatMap((gate, e) => [gate, ups[e]]),
      );
    for (const [role, parts] of [
      ['gate', gates],
      ['up', ups],
      ['down', downs],
    ] as const) {
      if (layout === 'merged' || (layout === 'fused' && role === 'down')) merged(role, parts);
      if (layout === 'per-expert')
        for (const [e, expert] of parts.entries())
          add(`${blk}.ffn_${role}.${e}.weight`, [expert.cols, expert.rows], [expert]);
    }
  }
  if (options.ropeFactors) {
    const values = Float32Array.from(options.ropeFactors);
    add(
      'rope_freqs.weight',
      [values.length],
      [{ recipe: { type: 'F32', seed: 0, deviation: 0 }, rows: 1, cols: values.length, zeroRows: 0, values }],
    );
  }
  norm('output_norm.weight');
  // Byte and control tokens get logit 0, which ordinary ones (standard deviation 3) always beat.
  matrix('output.weight', types.output, vocabularySize, embeddingLength, 3, FIRST_PIECE);
  return tensors;
}

function metadataOf(options: SynthOptions): Record<string, MetadataValue> {
  const { pre } = options;
  const vocabulary =
    pre === undefined
      ? synthVocabulary(options.vocabularySize)
      : byteBpeVocabulary(options.vocabularySize, BYTE_CHARACTERS);
  const { tokens, scores, tokenTypes } = vocabulary;
  for (const [n, piece] of (options.userDefined ?? []).entries()) {
    tokens[tokens.length - 1 - n] = piece;
    tokenTypes[tokens.length - 1 - n] = 4;
  }
  const headDim = options.headDim ?? options.embeddingLength / options.headCount;
  return {
    'general.architecture': { string: 'llama' },
    'general.name': { string: options.name ?? 'synthetic Mixtral' },
    'general.license': { string: 'cc0-1.0' },
    'llama.vocab_size': { u32: options.vocabularySize },
    'llama.context_length': { u32: options.contextLength },
    'llama.embedding_length': { u32: options.embeddingLength },
    'llama.block_count': { u32: options.layers },
    'llama.feed_forward_length': { u32: options.feedForwardLength },
    'llama.attention.head_count': { u32: options.headCount },
    'llama.attention.head_count_kv': { u32: options.kvHeadCount },
    'llama.attention.key_length': { u32: headDim },
    'llama.attention.value_length': { u32: headDim },
    'llama.attention.layer_norm_rms_epsilon': { f32: 1e-5 },
    'llama.rope.dimension_count': { u32: headDim },
    'llama.rope.freq_base': { f32: options.ropeFreqBase ?? 1e6 },
    'llama.expert_count': { u32: options.expertCount },
    'llama.expert_used_count': { u32: options.expertsPerToken },
    'tokenizer.ggml.model': { string: pre === undefined ? 'llama' : 'gpt2' },
    ...(pre !== undefined && { 'tokenizer.ggml.pre': { string: pre } }),
    ...('merges' in vocabulary && { 'tokenizer.ggml.merges': { strings: vocabulary.merges as string[] } }),
    'tokenizer.ggml.tokens': { strings: tokens },
    'tokenizer.ggml.scores': { f32s: scores },
    'tokenizer.ggml.token_type': { i32s: tokenTypes },
    'tokenizer.ggml.bos_token_id': { u32: 1 },
    'tokenizer.ggml.eos_token_id': { u32: 2 },
    'tokenizer.ggml.unknown_token_id': { u32: 0 },
    'tokenizer.ggml.add_bos_token': { bool: true },
    'tokenizer.ggml.add_eos_token': { bool: false },
    'tokenizer.ggml.add_space_prefix': { bool: pre === undefined && options.spacePrefix !== false },
    ...(options.chatTemplate !== undefined && { 'tokenizer.chat_template': { string: options.chatTemplate } }),
    ...options.metadata,
  };
}
