import { describe, expect, it } from 'vitest';
import { halfToNumber, roundToHalf, unpackHalves } from '../../../reference/half.ts';
import { rope } from '../../../reference/rope.ts';
import { compare, TOLERANCE } from '../../../reference/tolerance.ts';
import { ropeTable } from '../../rope-table.ts';
import {
  getTestDevice,
  makeContext,
  randomNormal,
  readActivations,
  readBack,
  run,
  type StateValues,
  seededRandom,
  upload,
  uploadActivations,
} from '../testing.ts';
import { ropeAndStore } from './rope-store.ts';

interface Case {
  headCount: number;
  kvHeadCount: number;
  headDim: number;
  ropeDimensionCount: number;
  ropeFreqBase: number;
  tokens: number;
  position: number;
}

async function store(shape: Case, state: StateValues = {}, scale = 1) {
  const { headCount, kvHeadCount, headDim, tokens, position } = shape;
  const capacity = position + tokens + 3;
  const gpu = await getTestDevice();
  const ctx = await makeContext('rows', { tokenCount: tokens, position, ...state });
  const random = seededRandom(headDim * 31 + position);
  const [qWidth, kvWidth] = [headCount * headDim, kvHeadCount * headDim];
  const data = {
    q: randomNormal(random, tokens * qWidth),
    k: randomNormal(random, tokens * kvWidth, scale),
    v: randomNormal(random, tokens * kvWidth, scale),
  };
  const q = uploadActivations(gpu, data.q, qWidth);
  const caches = [0, 1].map(() => upload(gpu, new Uint32Array((capacity * kvWidth) / 2).fill(0x3c003c00)));
  await run(gpu, () =>
    ropeAndStore(ctx, {
      ...shape,
      q,
      k: uploadActivations(gpu, data.k, kvWidth),
      v: uploadActivations(gpu, data.v, kvWidth),
      table: upload(gpu, ropeTable(shape, capacity)),
      keyCache: caches[0],
      valueCache: caches[1],
      maxTokens: tokens,
      label: 'test',
    }),
  );
  const cache = async (i: number) => {
    const all = unpackHalves((await readBack(gpu, caches[i], Uint32Array)).subarray(0, (capacity * kvWidth) / 2));
    return {
      written: all.slice(position * kvWidth, (position + tokens) * kvWidth),
      before: all.slice(0, position * kvWidth),
      after: all.slice((position + tokens) * kvWidth),
    };
  };
  return { data, q: await readActivations(gpu, q, tokens, qWidth), keys: await cache(0), values: await cache(1) };
}

/** The reference rotation of rows `[tokens, width]`. */
function rotated(rows: Float32Array, shape: Case): Float64Array {
  const width = rows.length / shape.tokens;
  const out = new Float64Array(rows.length);
  for (let t = 0; t < shape.tokens; t++) {
    out.set(rope(rows.subarray(t * width, (t + 1) * width), shape.position + t, shape), t * width);
  }
  return out;
}

const untouched = (values: Float64Array): boolean => values.every((value) => value === 1);

const shape = (
  headCount: number,
  kvHeadCount: number,
  headDim: number,
  ropeDimensionCount: number,
  tokens: number,
  position: number,
  ropeFreqBase = 1e6,
): Case => ({
  headCount,
  kvHeadCount,
  headDim,
  ropeDimensionCount,
  ropeFreqBase,
  tokens,
  position,
});

describe('ropeAndStore', () => {
  it.each<Case>([
    shape(4, 1, 32, 32, 1, 0),
    shape(3, 3, 40, 20, 2, 1),
    shape(8, 2, 64, 64, 5, 63, 1e4),
    shape(3, 1, 80, 80, 17, 64),
    shape(2, 2, 96, 48, 2, 700),
    shape(4, 1, 128, 128, 5, 700),
    shape(2, 1, 6, 2, 3, 4),
    shape(2, 1, 6, 2, 63, 1),
    shape(2, 1, 6, 2, 64, 0),
    shape(2, 1, 6, 2, 65, 64),
    shape(2, 1, 6, 2, 129, 5),
    shape(1, 1, 128, 128, 2, 32766),
  ])('$headCount:$kvHeadCount heads of $headDim, $ropeDimensionCount rotated, $tokens at $position', async (one) => {
    const { data, q, keys, values } = await store(one);
    // cos and sin are rounded to f32, so the error is relative to the length of the pair.
    expect(compare(q, rotated(data.q, one), TOLERANCE.elementwise)).toBeNull();
    expect(compare(keys.written, rotated(data.k, one), TOLERANCE.half)).toBeNull();
    expect(compare(values.written, data.v, TOLERANCE.half)).toBeNull();
    for (const { before, after } of [keys, values]) expect(untouched(before) && untouched(after)).toBe(true);
  });

  it('clamps magnitudes that are too large for f16', async () => {
    const { data, values, keys } = await store(shape(1, 1, 32, 32, 2, 0), {}, 1e6);
    const expected = data.v.map((x) => Math.max(-65504, Math.min(65504, x)));
    expect(expected.some((x) => x === 65504) && expected.some((x) => x === -65504)).toBe(true);
    expect(compare(values.written, expected, TOLERANCE.half)).toBeNull();
    expect(keys.written.every(Number.isFinite)).toBe(true);
  });

  it('does nothing when stalled', async () => {
    const { data, q, keys, values } = await store(shape(2, 1, 32, 32, 2, 3), { stalled: 4 });
    expect(q).toEqual(data.q);
    expect(untouched(keys.written) && untouched(values.written)).toBe(true);
  });

  it('stores only tokenCount tokens', async () => {
    const { data, q, keys } = await store(shape(2, 1, 32, 32, 3, 5), { tokenCount: 2 });
    expect(q.subarray(128)).toEqual(data.q.subarray(128));
    expect(untouched(keys.written.slice(64))).toBe(true);
    expect(untouched(keys.written.slice(0, 64))).toBe(false);
  });

  it('writes nothing if the cache is full', async () => {
    // Capacity is 8; the state claims a position beyond it.
    const { keys, values } = await store(shape(2, 1, 32, 32, 2, 3), { position: 8 });
    for (const { before, written, after } of [keys, values]) {
      expect(untouched(before) && untouched(written) && untouched(after)).toBe(true);
    }
  });

  it('rejects odd head dimensions', async () => {
    await expect(store(shape(2, 1, 33, 32, 1, 0))).rejects.toThrow(RangeError);
  });
});

/** For each positive f16 and the one above it: both, the middle between them, and the two f32 around the middle. */
function numbersAroundHalves(): Float32Array<ArrayBuffer> {
  const values: number[] = [];
  for (let bits = 0; bits <= 0x7bff; bits++) {
    const [half, next] = [halfToNumber(bits), bits < 0x7bff ? halfToNumber(bits + 1) : 65536];
    const middle = (half + next) / 2;
    const ulp = 2 ** (Math.floor(Math.log2(middle)) - 23);
    values.push(half, middle - ulp, middle, middle + ulp);
  }
  values.push(1e-30, 2 ** -149, 2 ** -126, 65519.99609375, 65520, 65536, 1e6, 3.4e38, Number.POSITIVE_INFINITY);
  return Float32Array.from([...values, ...values.map((x) => -x)]);
}

describe('keys and values', () => {
  it('are rounded to the nearest f16, ties to even, for all halves and the middles between them', async () => {
    const numbers = numbersAroundHalves();
    const width = 512;
    const tokens = Math.ceil(numbers.length / width);
    const values = new Float32Array(tokens * width);
    values.set(numbers);
    const gpu = await getTestDevice();
    const caches = [0, 1].map(() => upload(gpu, new Uint32Array((tokens * width) / 2)));
    const ctx = await makeContext('rows', { tokenCount: tokens });
    const unrotated = shape(1, 4, 128, 2, tokens, 0);
    await run(gpu, () =>
      ropeAndStore(ctx, {
        ...unrotated,
        q: uploadActivations(gpu, new Float32Array(tokens * 128), 128),
        k: uploadActivations(gpu, values, width),
        v: uploadActivations(gpu, values, width),
        // No rotation: the cosines are 1 and the sines 0.
        table: upload(
          gpu,
          Float32Array.from({ length: tokens * 2 }, (_, i) => 1 - (i % 2)),
        ),
        keyCache: caches[0],
        valueCache: caches[1],
        maxTokens: tokens,
        label: 'test',
      }),
    );
    const stored = new Uint16Array((await readBack(gpu, caches[1], Uint32Array)).buffer);
    const wrong: string[] = [];
    for (const [i, number] of numbers.entries()) {
      const expected = roundToHalf(number);
      const actual = halfToNumber(stored[i]);
      const signed = stored[i] >>> 15 === (number < 0 || Object.is(number, -0) ? 1 : 0);
      if (!(actual === expected && signed) && wrong.length < 5) wrong.push(`${number} is stored as ${actual}`);
    }
    expect(wrong).toEqual([]);
    // The reference itself, against the browser's own rounding. It has no clamp.
    const { f16round } = Math as { f16round?: (x: number) => number };
    if (f16round) {
      for (const number of numbers) {
        if (Math.abs(number) < 65520 && roundToHalf(number) !== f16round(number)) wrong.push(`reference: ${number}`);
      }
      expect(wrong).toEqual([]);
    }
    expect(await readBack(gpu, caches[0], Uint32Array)).toEqual(new Uint32Array(stored.buffer));
  });

  it('stay NaN', async () => {
    const gpu = await getTestDevice();
    const ctx = await makeContext('rows');
    const one = shape(1, 1, 32, 2, 1, 0);
    const caches = [0, 1].map(() => upload(gpu, new Uint32Array(16)));
    const nan = new Float32Array(32).fill(Number.NaN);
    await run(gpu, () =>
      ropeAndStore(ctx, {
        ...one,
        q: uploadActivations(gpu, nan, 32),
        k: uploadActivations(gpu, nan, 32),
        v: uploadActivations(gpu, nan, 32),
        table: upload(gpu, Float32Array.of(1, 0)),
        keyCache: caches[0],
        valueCache: caches[1],
        maxTokens: 1,
        label: 'test',
      }),
    );
    for (const cache of caches) {
      expect(unpackHalves(await readBack(gpu, cache, Uint32Array)).every(Number.isNaN)).toBe(true);
    }
  });
});
