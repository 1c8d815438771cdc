/** Detects a model whose results are no numbers. Its next token would be random, so there is none. */
import { MixtabError } from '../../src/contract/errors.ts';

/** The error of a model that computed NaN or infinity. */
export const notFinite = (): MixtabError =>
  new MixtabError(
    'not-finite',
    'The model computed something that is not a number, so there is no next token: some of its weights are damaged.',
    'Verify the model on the models page. If it is intact, the file itself is bad: import another one.',
  );

/** @throws MixtabError `not-finite` if one of the numbers is NaN or infinite */
export function checkFinite(numbers: ArrayLike<number>): void {
  // Zero times a number is zero, except for NaN and infinity. One branch at the end is faster than one per number, and
  // four sums, none of which waits for another, than one.
  let [a, b, c, d] = [0, 0, 0, 0];
  const fours = numbers.length & ~3;
  for (let i = 0; i < fours; i += 4) {
    a += numbers[i] * 0;
    b += numbers[i + 1] * 0;
    c += numbers[i + 2] * 0;
    d += numbers[i + 3] * 0;
  }
  for (let i = fours; i < numbers.length; i++) a += numbers[i] * 0;
  if (a + b + c + d !== 0) throw notFinite();
}
