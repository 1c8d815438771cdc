/** The error that a GPU computes wrong values. */
import { MixtabError } from '../../../src/contract/errors.ts';

/** @param wrong what is computed wrong, in words */
export const wrongValues = (wrong: string): MixtabError =>
  new MixtabError(
    'gpu-wrong-values',
    `This GPU computes wrong values (${wrong}): its driver or the browser compiles a shader wrongly.`,
    'Choose the CPU in the settings, or update the graphics driver and the browser and load the model again.',
  );

/** Whether an error says that the GPU computes wrong values. */
export const isWrongValues = (error: unknown): boolean =>
  error instanceof MixtabError && error.code === 'gpu-wrong-values';
