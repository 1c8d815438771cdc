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
  // Zero times a number is zero, except for NaN and infinity. One branch at the end is faster than one per number.
  let sum = 0;
  for (let i = 0; i < numbers.length; i++) sum += numbers[i] * 0;
  if (sum !== 0) throw notFinite();
}
