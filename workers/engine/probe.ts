/** Finds out what this browser offers for computing. Small: the page asks before the engine's code is fetched. */
import type { ProbeReport } from '../../src/contract/engine-api.ts';
import { errorToData } from '../../src/contract/errors.ts';
import { wasmProblem } from '../compute/cpu/wasm-support.ts';
import { findAdapter } from '../compute/gpu/device.ts';
import { chooseCompute } from './choose-compute.ts';

/** Never rejects because nothing can compute: the report says why. */
export async function probe(): Promise<ProbeReport> {
  const found = await findAdapter();
  const { report: adapter } = found;
  const gpuError = 'error' in found ? found.error : undefined;
  const cpuError = wasmProblem();
  const automatic = (adapter || !cpuError) && chooseCompute({ requested: 'auto', adapter, cpuError, gpuFailures: 0 });
  return {
    ...(adapter ? { adapter } : { gpuError: errorToData(gpuError) }),
    ...(cpuError && { cpuError: errorToData(cpuError) }),
    ...(automatic && { automatic }),
  };
}
