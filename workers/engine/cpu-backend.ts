/** The CPU backend, as long as it is not complete: nothing chooses it. */
import { MixtabError } from '../../src/contract/errors.ts';
import type { Compute } from '../compute/compute.ts';
import type { LoadInputs } from '../compute/loading.ts';

/** Why the CPU cannot compute; undefined if it can. */
export const cpuError = (): MixtabError | undefined =>
  new MixtabError(
    'wasm-unsupported',
    'This version cannot compute on the CPU yet.',
    'Choose the GPU, or let the engine choose.',
  );

/** Loads a model on the CPU. */
export async function loadOnCpu(_: LoadInputs): Promise<Compute> {
  throw cpuError();
}
