/** A model that is small enough to be computed by hand. */
import type { ReferenceModel } from './model.ts';

/** sqrt(5), with which logits become whole numbers. */
const ROOT = Math.sqrt(5);

/**
 * One layer, one head of two dimensions, two experts of which one is used, and a vocabulary of A = 0, B = 1 and C = 2.
 * RoPE turns by 90 degrees per position.
 *
 * Token A at position 0: `(1, 1)`, its own norm. Attention sees only itself and adds its value, `(1, 1)`. The norm of
 * `(2, 2)` is `(1, 1)`, the router's logits are 1 and -2, so expert 0 adds `silu(ln 3) * (-1, 1) / silu(ln 3)`. The
 * residual is `(1, 3)`, its norm `(1, 3) / sqrt(5)`.
 *
 * Token B at position 1: `(1, -1)`, its own norm. Its query `(sqrt(2) ln 3, 0)` and its key `(1, 0)` turn by 90 degrees
 * to `(0, sqrt(2) ln 3)` and `(0, 1)`. The key of A is `(1, 0)`, so the scores are 0 and ln 3, the weights 1/4 and 3/4,
 * and attention adds `1/4 (1, 1) + 3/4 (1, -1) = (1, -1/2)`. The residual is `(2, -3/2)`. In its norm,
 * `(2, -3/2) / sqrt(3.125)`, the router prefers expert 1, whose gate is 0, so it adds nothing.
 */
export const HAND_MADE: ReferenceModel = {
  config: {
    layerCount: 1,
    embeddingLength: 2,
    feedForwardLength: 1,
    headCount: 1,
    kvHeadCount: 1,
    headDim: 2,
    expertCount: 2,
    expertsPerToken: 1,
    vocabularySize: 3,
    contextLength: 8,
    ropeDimensionCount: 2,
    ropeFreqBase: 10_000,
    ropeFactors: [2 / Math.PI],
    rmsNormEpsilon: 0,
  },
  embedding: Float32Array.of(1, 1, 1, -1, -1, 1),
  layers: [
    {
      attnNorm: Float32Array.of(1, 1),
      attnQ: Float32Array.of(Math.SQRT2 * Math.log(3), 0, 0, 0),
      attnK: Float32Array.of(1, 0, 0, 0),
      attnV: Float32Array.of(1, 0, 0, 1),
      attnOutput: Float32Array.of(1, 0, 0, 1),
      ffnNorm: Float32Array.of(1, 1),
      router: Float32Array.of(1, 0, 0, -2),
      expert: (index) =>
        index === 0
          ? {
              gate: Float32Array.of(Math.log(3), 0),
              up: Float32Array.of(0, 1),
              // silu(ln 3) = 3/4 ln 3
              down: Float32Array.of(-1 / (0.75 * Math.log(3)), 1 / (0.75 * Math.log(3))),
            }
          : { gate: Float32Array.of(0, 0), up: Float32Array.of(1, 1), down: Float32Array.of(5, 5) },
    },
  ],
  outputNorm: Float32Array.of(1, 1),
  output: Float32Array.of(ROOT, 0, 0, ROOT, 0, 0),
};

const ratio = Math.sqrt(5 / 3.125);
/** The logits of the next token after A, and after A and B. */
export const HAND_MADE_LOGITS = [
  [1, 3, 0],
  [2 * ratio, -1.5 * ratio, 0],
];
