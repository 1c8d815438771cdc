/** Decides between variants by times that were measured in turns. Pure. */

/** How much faster than the standard a variant has to be, so that noise does not decide. */
const LEAST_GAIN = 0.05;
/** The share of the turns in which it has to be faster than the standard. */
const LEAST_WINS = 0.6;

/**
 * The name of the fastest variant, or the standard one if none is clearly faster.
 *
 * Only times of the same turn are compared: a GPU that changes its clock, or another program that uses it, then affects
 * both. The median over the turns ignores single outliers.
 * @param measured `times`: milliseconds per variant, one per turn; infinite where it failed. `clockError`: the share of
 * a time that may be due to the steps of the clock, in both times that are compared
 * @param standard the variant that is used without a measurement
 */
export function decideVariant<Name extends string>(
  { times, clockError = 0 }: { times: ReadonlyMap<Name, readonly number[]>; clockError?: number },
  standard: Name,
): Name {
  const reference = times.get(standard);
  if (!reference || reference.length === 0 || !reference.every((time) => time > 0 && Number.isFinite(time))) {
    return standard;
  }
  let best: { name: Name; ratio: number } = { name: standard, ratio: 1 - Math.max(LEAST_GAIN, 2 * clockError) };
  for (const [name, turns] of times) {
    if (name === standard || turns.length !== reference.length) continue;
    const ratios = turns.map((time, turn) => time / reference[turn]);
    if (!ratios.every((ratio) => ratio >= 0)) continue;
    const wins = ratios.filter((ratio) => ratio < 1).length;
    const ratio = median(ratios);
    if (wins >= LEAST_WINS * ratios.length && ratio < best.ratio) best = { name, ratio };
  }
  return best.name;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
