/** Which tensors a synthetic model has, and how the weights of each are made. No bytes are written here. */
import { ggufBytes, isPlainType } from '../format/quantization/repack.ts';
import { WEIGHT_TYPES, type WeightTypeName } from '../format/weight-layout.ts';
import type { TensorEntry } from './header-writer.ts';
import type { SynthOptions } from './options.ts';
import { type BlockRecipe, hashName } from './random-blocks.ts';
import { FIRST_PIECE } from './vocabulary.ts';

/** One matrix: a whole tensor, or one expert's slice of a merged tensor. */
export interface SynthMatrix {
  recipe: BlockRecipe;
  rows: number;
  cols: number;
  /** The first rows whose weights are all zero. */
  zeroRows: number;
  /** F32 weights that replace the random ones. */
  values?: Float32Array;
}

/** A tensor of the file: its entry in the header and the matrices that it consists of, one after another. */
export interface SynthTensor {
  entry: TensorEntry;
  matrices: SynthMatrix[];
}

interface MatrixSpec {
  name: string;
  type: WeightTypeName;
  /** Output features. */
  rows: number;
  /** Input features. */
  cols: number;
  /** Standard deviation of an output if the inputs have standard deviation 1. Default: 1. */
  gain?: number;
  zeroRows?: number;
}

/**
 * All tensors, in the order of the file.
 * @throws RangeError if a row is not a whole number of blocks, or if a merged tensor would have several types
 */
export function planTensors(options: SynthOptions): SynthTensor[] {
  const { embeddingLength, vocabularySize, types } = options;
  const plan = new TensorPlan(options);
  plan.addMatrix({
    name: 'token_embd.weight',
    type: types.embedding,
    rows: vocabularySize,
    cols: embeddingLength,
    gain: Math.sqrt(embeddingLength),
  });
  for (let layer = 0; layer < options.layers; layer++) {
    addAttention(plan, options, layer);
    addExperts(plan, options, layer);
  }
  if (options.ropeFactors) plan.addValues('rope_freqs.weight', Float32Array.from(options.ropeFactors));
  plan.addNorm('output_norm.weight');
  plan.addMatrix({
    name: 'output.weight',
    type: types.output,
    rows: vocabularySize,
    cols: embeddingLength,
    gain: 3,
    // Byte and control tokens get logit 0, which ordinary tokens (standard deviation 3) always beat.
    zeroRows: FIRST_PIECE,
  });
  return plan.tensors;
}

function addAttention(plan: TensorPlan, options: SynthOptions, layer: number): void {
  const { embeddingLength, headCount, kvHeadCount, types, residualScale } = options;
  const headDim = options.headDim ?? embeddingLength / headCount;
  const blk = `blk.${layer}`;
  const project = (role: string, heads: number): MatrixSpec => ({
    name: `${blk}.${role}.weight`,
    type: types.attention,
    rows: heads * headDim,
    cols: embeddingLength,
  });
  const projections = [project('attn_q', headCount), project('attn_k', kvHeadCount), project('attn_v', kvHeadCount)];
  plan.addNorm(`${blk}.attn_norm.weight`);
  if (options.fusedQkv) {
    const rows = (headCount + 2 * kvHeadCount) * headDim;
    plan.add(
      `${blk}.attn_qkv.weight`,
      [embeddingLength, rows],
      projections.map((spec) => plan.matrix(spec)),
    );
  } else for (const spec of projections) plan.addMatrix(spec);
  plan.addMatrix({
    name: `${blk}.attn_output.weight`,
    type: types.attention,
    rows: embeddingLength,
    cols: headCount * headDim,
    gain: residualScale,
  });
}

/** Adds a layer's norm, router and experts, the experts in the layout that the options name. */
function addExperts(plan: TensorPlan, options: SynthOptions, layer: number): void {
  const { embeddingLength, feedForwardLength, expertCount, types, residualScale } = options;
  const blk = `blk.${layer}`;
  plan.addNorm(`${blk}.ffn_norm.weight`);
  // A gain of 3 spreads the router's logits, so two experts seldom tie.
  plan.addMatrix({
    name: `${blk}.ffn_gate_inp.weight`,
    type: types.router,
    rows: expertCount,
    cols: embeddingLength,
    gain: 3,
  });
  // Names seed the weights. They are the same in all layouts, so the weights are too.
  const experts = (role: string, spec: Omit<MatrixSpec, 'name'>): SynthMatrix[] =>
    Array.from({ length: expertCount }, (_, e) => plan.matrix({ name: `${blk}.ffn_${role}.${e}.weight`, ...spec }));
  const gates = experts('gate', { type: types.experts, rows: feedForwardLength, cols: embeddingLength });
  const ups = experts('up', { type: types.experts, rows: feedForwardLength, cols: embeddingLength });
  const downs = experts('down', {
    type: types.down,
    rows: embeddingLength,
    cols: feedForwardLength,
    gain: residualScale,
  });

  const merge = (role: string, matrices: SynthMatrix[]): void => {
    const [{ rows, cols }] = matrices;
    plan.add(`${blk}.ffn_${role}_exps.weight`, [cols, (rows * matrices.length) / expertCount, expertCount], matrices);
  };
  const separate = (role: string, matrices: SynthMatrix[]): void => {
    for (const [e, matrix] of matrices.entries()) {
      plan.add(`${blk}.ffn_${role}.${e}.weight`, [matrix.cols, matrix.rows], [matrix]);
    }
  };
  const layout = options.f32Twin ? 'merged' : options.layout;
  if (layout === 'fused') {
    const gatesAndUps = gates.flatMap((gate, e) => [gate, ups[e]]);
    merge('gate_up', gatesAndUps);
    merge('down', downs);
  } else {
    const write = layout === 'merged' ? merge : separate;
    write('gate', gates);
    write('up', ups);
    write('down', downs);
  }
}

class TensorPlan {
  readonly tensors: SynthTensor[] = [];
  readonly #overrides: { pattern: RegExp; type: WeightTypeName }[];

  constructor(private readonly options: SynthOptions) {
    this.#overrides = (options.overrides ?? []).map(([pattern, type]) => ({ pattern: new RegExp(pattern), type }));
  }

  /** A matrix of random weights. It is not yet part of a tensor. */
  matrix({ name, type, rows, cols, gain = 1, zeroRows = 0 }: MatrixSpec): SynthMatrix {
    return {
      recipe: {
        type: this.#overrides.findLast(({ pattern }) => pattern.test(name))?.type ?? type,
        seed: hashName(name, this.options.seed),
        deviation: gain / Math.sqrt(cols),
      },
      rows,
      cols,
      zeroRows,
    };
  }

  /** Adds a tensor that is one matrix of random weights. */
  addMatrix(spec: MatrixSpec): void {
    this.add(spec.name, [spec.cols, spec.rows], [this.matrix(spec)]);
  }

  /** Adds an F32 vector of weights near 1, one per embedding dimension. */
  addNorm(name: string): void {
    const { embeddingLength, seed } = this.options;
    const recipe: BlockRecipe = { type: 'F32', seed: hashName(name, seed), deviation: 0.1, mean: 1 };
    this.add(name, [embeddingLength], [{ recipe, rows: 1, cols: embeddingLength, zeroRows: 0 }]);
  }

  /** Adds an F32 vector of these values. */
  addValues(name: string, values: Float32Array): void {
    const recipe: BlockRecipe = { type: 'F32', seed: 0, deviation: 0 };
    this.add(name, [values.length], [{ recipe, rows: 1, cols: values.length, zeroRows: 0, values }]);
  }

  /** @param shape as ggml orders it: the row's width first */
  add(name: string, shape: number[], matrices: SynthMatrix[]): void {
    const { f32Twin } = this.options;
    const [first] = matrices;
    const type = f32Twin ? WEIGHT_TYPES.F32 : WEIGHT_TYPES[first.recipe.type];
    if (!f32Twin && matrices.some(({ recipe }) => recipe.type !== type.name)) {
      throw new RangeError(`${name}: all matrices of one tensor must have one type`);
    }
    if (!isPlainType(type) && first.cols % type.blockWeights !== 0) {
      throw new RangeError(
        `${name}: rows of ${first.cols} weights are not whole ${type.name} blocks of ${type.blockWeights}`,
      );
    }
    const bytes = matrices.reduce((sum, { rows, cols }) => sum + ggufBytes(type, rows, cols), 0);
    this.tensors.push({ entry: { name, shape, ggmlType: type.ggmlType, bytes }, matrices });
  }
}
