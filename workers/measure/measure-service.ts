/** The measuring worker's side of {@link MeasureApi}. The code is fetched once it is known that there is a GPU. */
import { MixtabError } from '../../src/contract/errors.ts';
import { fetchCode } from '../../src/contract/fetch-code.ts';
import type { MeasureApi, MeasureOptions, MeasureReport } from '../../src/contract/measure-api.ts';
import { requestAdapter } from '../compute/gpu/device.ts';

/** Measures the GPU. One measurement runs at a time. */
export class MeasureService implements MeasureApi {
  #running: AbortController | undefined;

  async measure(options: Partial<MeasureOptions>, onReport: (report: MeasureReport) => void): Promise<MeasureReport> {
    if (this.#running) throw new MixtabError('busy', 'The GPU is being measured already.', 'Wait, or stop it.');
    const running = new AbortController();
    this.#running = running;
    try {
      await requestAdapter(); // without WebGPU, loading the code below would fail with a worse message
      const { measure } = await fetchCode('measures the GPU', () => import('./measure.ts'));
      return await measure({ options, signal: running.signal, onReport });
    } finally {
      this.#running = undefined;
    }
  }

  async stop(): Promise<void> {
    this.#running?.abort();
  }
}
