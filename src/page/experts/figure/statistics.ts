/** Intervals of means and shares. Pure. */

/**
 * The probability that Student's t with `freedom` degrees of freedom is between -t and t. The finite series of
 * Abramowitz and Stegun, 26.7.3 and 26.7.4.
 */
export function studentWithin(t: number, freedom: number): number {
  const angle = Math.atan(t / Math.sqrt(freedom));
  const [sin, cos] = [Math.sin(angle), Math.cos(angle)];
  const odd = freedom % 2 === 1;
  let term = odd ? cos : 1;
  let sum = freedom === 1 ? 0 : term;
  for (let n = odd ? 3 : 2; n < freedom; n += 2) {
    term *= (cos * cos * (n - 1)) / n;
    sum += term;
  }
  return odd ? (2 / Math.PI) * (angle + sin * sum) : sin * sum;
}

/** @returns the t for which {@link studentWithin} is `confidence`, found by bisection */
export function studentT(confidence: number, freedom: number): number {
  let [low, high] = [0, 1];
  while (studentWithin(high, freedom) < confidence) high *= 2;
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (studentWithin(middle, freedom) < confidence) low = middle;
    else high = middle;
  }
  return high;
}

/** Of intervals that hold for one number each, this share contains the true one. */
export const CONFIDENCE = 0.95;

/** @returns half the length of the 95% interval of a mean whose standard error was estimated from `blocks` blocks */
export const halfInterval = (standardError: number, blocks: number): number =>
  studentT(CONFIDENCE, blocks - 1) * standardError;

/**
 * Whether a number differs from `expected` by more than noise explains, if `comparisons` numbers are looked at
 * (Bonferroni: a false alarm anywhere has a chance of at most 5%).
 */
export const differs = (
  difference: number,
  { standardError, blocks, comparisons }: { standardError: number; blocks: number; comparisons: number },
): boolean => Math.abs(difference) > studentT(1 - (1 - CONFIDENCE) / comparisons, blocks - 1) * standardError;

/** The quantile of the normal distribution for a two-sided interval of 95%. */
const NORMAL_95 = 1.959964;

/** @returns the lower end of Wilson's 95% interval of a share, of which `hits` of `count` were observed */
export function wilsonLower(hits: number, count: number): number {
  const z2 = NORMAL_95 ** 2;
  const share = hits / count;
  const centre = share + z2 / (2 * count);
  const spread = NORMAL_95 * Math.sqrt((share * (1 - share)) / count + z2 / (4 * count * count));
  return Math.max(0, (centre - spread) / (1 + z2 / count));
}

/** @returns pseudo-random numbers of 0 .. 1 that depend on the seed only (mulberry32) */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
