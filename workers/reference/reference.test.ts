/** Tests the float64 reference against published values and values computed by hand. */
import { describe, expect, it } from 'vitest';
import { attention } from './attention.ts';
import { halfToNumber, roundToHalf, unpackHalves } from './half.ts';
import { matmul, matvec } from './matmul.ts';
import { rmsNorm } from './norm.ts';
import { type RopeShape, rope, ropeFrequency } from './rope.ts';
import { route } from './router.ts';
import { adjustLogits, candidates, draw, logProbabilities, ranking, threefry2x32 } from './sample.ts';
import { compare, TOLERANCE } from './tolerance.ts';

describe('compare', () => {
  it('reports the worst deviation, and always NaN', () => {
    expect(compare([1, 2], [1, 2], TOLERANCE.elementwise)).toBeNull();
    expect(compare([1, 2.1, 3.5], [1, 2, 3], TOLERANCE.elementwise)).toMatchObject({ index: 2, error: 0.5 });
    expect(compare([Number.NaN], [0], { relative: 1, absolute: 1e9 })).not.toBeNull();
  });
});

describe('half', () => {
  it('decodes normal and subnormal numbers, infinity and NaN', () => {
    expect(halfToNumber(0x3c00)).toBe(1);
    expect(halfToNumber(0xc000)).toBe(-2);
    expect(halfToNumber(0x7bff)).toBe(65504);
    expect(halfToNumber(0x0001)).toBe(2 ** -24);
    expect(halfToNumber(0x7c00)).toBe(Number.POSITIVE_INFINITY);
    expect(halfToNumber(0x7e00)).toBeNaN();
    expect([...unpackHalves([0xc0003c00])]).toEqual([1, -2]);
  });
  it('rounds to the nearest number, ties to even, for all neighbours from the smallest to the largest', () => {
    for (let bits = 0; bits < 0x7bff; bits++) {
      const [low, high] = [halfToNumber(bits), halfToNumber(bits + 1)];
      const middle = (low + high) / 2;
      const distance = high - low;
      const cases = [low, middle - distance * 1e-6, middle, middle + distance * 1e-6, -middle];
      const even = bits % 2 === 0 ? low : high;
      const expected = [low, low, even, high, -even];
      if (cases.some((x, i) => roundToHalf(x) !== expected[i] && !(roundToHalf(x) === 0 && expected[i] === 0))) {
        expect(cases.map(roundToHalf), `between ${low} and ${high}`).toEqual(expected);
      }
    }
  });
  it('clamps larger magnitudes and keeps NaN', () => {
    expect([65504, 65519, 65520, 1e9, Number.POSITIVE_INFINITY, -7e4].map(roundToHalf)).toEqual([
      65504, 65504, 65504, 65504, 65504, -65504,
    ]);
    expect(roundToHalf(Number.NaN)).toBeNaN();
  });
});

describe('matvec', () => {
  it('equals the product with magnitudes', () => {
    const weights = [1, 2, 3, -4, 5, 0.5];
    const x = [2, -1, 10];
    expect([...matvec(Float32Array.from(weights), Float64Array.from(x))]).toEqual([30, -8]);
    expect([...matmul(weights, x, 2, 3).values]).toEqual([30, -8]);
  });
});

describe('rmsNorm', () => {
  it('scales rows to a mean square of 1, times the weight', () => {
    expect([...rmsNorm([3, 4], [1, 10], 2, 0)].map((x) => x.toFixed(6))).toEqual(
      [3 / Math.sqrt(12.5), 40 / Math.sqrt(12.5)].map((x) => x.toFixed(6)),
    );
  });
});

describe('rope', () => {
  const shape = { headDim: 4, ropeDimensionCount: 2, ropeFreqBase: 10000 };
  it('rotates the first pair by the position and leaves the dimensions beyond ropeDimensionCount', () => {
    const [a, b, c, d] = rope([1, 0, 5, 6], 2, shape);
    expect(a).toBeCloseTo(-0.4161468365, 9); // cos 2
    expect(b).toBeCloseTo(0.9092974268, 9); // sin 2
    expect([c, d]).toEqual([5, 6]);
  });
  it('makes the product of a query and a key depend only on their distance', () => {
    const full = { headDim: 4, ropeDimensionCount: 4, ropeFreqBase: 100 };
    const product = (p: number, q: number): number => {
      const a = rope([1, 2, 3, 4], p, full);
      return rope([4, -3, 2, 1], q, full).reduce((sum, x, i) => sum + x * a[i], 0);
    };
    expect(product(3, 10)).toBeCloseTo(product(100, 107), 9);
    expect(product(3, 10)).not.toBeCloseTo(product(3, 11), 3);
  });
});

describe('rope for longer contexts', () => {
  // 64 dimensions, base 10000.
  const shape = { headDim: 64, ropeDimensionCount: 64, ropeFreqBase: 10_000 };
  const ratio = (pair: number, more: Partial<RopeShape>): number =>
    ropeFrequency(pair, { ...shape, ...more }) / ropeFrequency(pair, shape);
  it('divides all frequencies with linear scaling, and each by its own factor', () => {
    const ropeScaling = { type: 'linear', factor: 4, originalContextLength: 100, magnitude: 1 } as const;
    expect([0, 7, 31].map((pair) => ratio(pair, { ropeScaling }))).toEqual([0.25, 0.25, 0.25]);
    const ropeFactors = Array.from({ length: 32 }, (_, pair) => pair + 1);
    expect(ratio(7, { ropeFactors })).toBeCloseTo(1 / 8, 12);
    expect(ratio(7, { ropeFactors, ropeScaling })).toBeCloseTo(1 / 32, 12);
  });
  it('keeps fast pairs and slows slow ones with YaRN', () => {
    // Pair j rotates 4096 * 10000^(-j / 32) / (2 pi) times in the original context: 32 times for j = 10.46, and once
    // for j = 22.51. Between 10 and 23 there is a ramp.
    const ropeScaling = { type: 'yarn', factor: 4, originalContextLength: 4096, magnitude: 1 } as const;
    const ratios = [0, 10, 16, 23, 31].map((pair) => ratio(pair, { ropeScaling }));
    for (const [i, expected] of [1, 1, 0.25 + 0.75 * (7 / 13), 0.25, 0.25].entries()) {
      expect(ratios[i]).toBeCloseTo(expected, 12);
    }
  });
  it('multiplies the rotated dimensions by the magnitude', () => {
    const ropeScaling = { type: 'linear', factor: 2, originalContextLength: 100, magnitude: 1.5 } as const;
    const small = { headDim: 3, ropeDimensionCount: 2, ropeFreqBase: 100, ropeScaling };
    const [a, b, c] = rope([2, 0, 7], 3, small);
    expect(a).toBeCloseTo(3 * Math.cos(1.5), 12);
    expect(b).toBeCloseTo(3 * Math.sin(1.5), 12);
    expect(c).toBe(7);
  });
});

describe('attention', () => {
  it('averages the values up to the token if all keys are equal', () => {
    const shape = { headCount: 2, kvHeadCount: 1, headDim: 1 };
    const values = [1, 3, 8, 1000];
    expect([...attention([5, 0, 5, 0], [2, 2, 2, 2], values, 1, shape)]).toEqual([2, 2, 4, 4]);
  });
  it('returns the value of a key with a dominant score', () => {
    const [out] = attention([100, 0], [1, 0, 0, 1, 0, 1], [7, 8, 0, 0, 0, 0], 2, {
      headCount: 1,
      kvHeadCount: 1,
      headDim: 2,
    });
    expect(out).toBeCloseTo(7, 9);
  });
});

describe('route', () => {
  it('breaks ties by index and ranks NaN last', () => {
    expect(route([1, 3, 3, 2], 2)).toEqual({ selectedExperts: [1, 2], weights: [0.5, 0.5] });
    expect(route([Number.NaN, Number.NEGATIVE_INFINITY, 0], 3).selectedExperts).toEqual([2, 1, 0]);
  });
  it('equals the softmax over all experts, renormalized', () => {
    const [a, b] = route([Math.log(6), Math.log(1), Math.log(3)], 2).weights;
    expect(a).toBeCloseTo(2 / 3, 9);
    expect(b).toBeCloseTo(1 / 3, 9);
  });
});

describe('threefry2x32', () => {
  it("gives the known answers of Random123, the authors' library", () => {
    expect(threefry2x32([0, 0], [0, 0])).toEqual([0x6b200159, 0x99ba4efe]);
    const ones = [0xffffffff, 0xffffffff] as const;
    expect(threefry2x32(ones, ones)).toEqual([0x1cb996fc, 0xbb002be7]);
    expect(threefry2x32([0x13198a2e, 0x03707344], [0x243f6a88, 0x85a308d3])).toEqual([0xc4923a9c, 0x483df7a0]);
  });
});

describe('sampling', () => {
  // Probabilities .5, .2, .2, .1 of tokens 3, 0, 2, 1.
  const logits = [0.2, 0.1, 0.2, 0.5].map(Math.log);
  const ids = (options: Parameters<typeof candidates>[1]): number[] => candidates(logits, options).map(({ id }) => id);

  it('ranks and normalizes', () => {
    expect(ranking(logits)).toEqual([3, 0, 2, 1]);
    expect(logProbabilities(logits)[1]).toBeCloseTo(Math.log(0.1), 9);
  });
  it('cuts by top-k, then top-p of the rest, then min-p', () => {
    expect(ids({ topK: 2 })).toEqual([3, 0]);
    expect(ids({ topP: 0.6 })).toEqual([3, 0]);
    expect(ids({ topP: 0.75 })).toEqual([3, 0, 2]);
    expect(ids({ topK: 2, topP: 0.75 })).toEqual([3, 0]);
    expect(ids({ topK: 2, topP: 0.7 })).toEqual([3]);
    expect(ids({ minP: 0.3 })).toEqual([3, 0, 2]);
    expect(ids({ temperature: 0 })).toEqual([3]);
  });
  it('draws by cumulative probabilities', () => {
    const all = candidates(logits, {});
    expect([0.49, 0.51, 0.71, 0.95].map((u) => draw(all, u))).toEqual([3, 0, 2, 1]);
  });
  it('penalizes tokens that occurred; negative logits are multiplied', () => {
    const options = { repetitionPenalty: 2, presencePenalty: 0.5, frequencyPenalty: 0.25, logitBias: { 2: 1 } };
    expect([...adjustLogits([4, -4, 0, 1], options, [2, 1, 1, 0])]).toEqual([1, -8.75, -0.25, 1]);
  });
});
