/** Finds out what this browser offers for computing. Small: the page asks before the engine's code is fetched. */
import type { ProbeReport } from '../../src/contract/engine-api.ts';
import { errorToData } from '../../src/contract/errors.ts';
import { reportAdapter, requestAdapter } from '../compute/gpu/device.ts';

/** Never rejects because nothing can compute: the report says why. */
export async function probe(): Promise<ProbeReport> {
  try {
    const adapter = reportAdapter(await requestAdapter());
    return { adapter, automatic: { kind: 'gpu', reason: adapter.software ? 'software-gpu' : 'gpu' } };
  } catch (error) {
    return { gpuError: errorToData(error) };
  }
}
