/** Measures this GPU in a worker of its own. Part of the measuring view's code, which is loaded when it is opened. */
import { createMeasureClient } from '../../connect/measure-client.ts';
import type { MeasureOptions, MeasureReport } from '../../contract/measure-api.ts';
import { proxy } from '../../contract/rpc.ts';
import { measureReport, measuring } from '../state/measurement.ts';
import { announcement } from '../state/notices.ts';
import { report } from './problems.ts';

/**
 * In a page, a smaller model and less time than on the command line: 4 of 32 layers take about 4 GB, and people wait
 * for it.
 */
const PAGE_OPTIONS: Partial<MeasureOptions> = { layers: 4, deadlineSeconds: 240 };

let stopRunning = (): void => {};

/** Measures, and fills `measureReport` as it goes. Errors are shown as notices. */
export async function measureGpu(): Promise<void> {
  if (measuring.value) return;
  const client = createMeasureClient();
  stopRunning = () => void client.api.stop().catch(() => {});
  measuring.value = true;
  measureReport.value = undefined;
  try {
    const onReport = proxy((soFar: MeasureReport) => {
      measureReport.value = soFar;
    });
    measureReport.value = await client.api.measure(PAGE_OPTIONS, onReport);
    announcement.value = 'The GPU is measured.';
  } catch (error) {
    report(error);
  } finally {
    measuring.value = false;
    client.close();
  }
}

/** Ends the measurement after the current figure. */
export function stopMeasuring(): void {
  stopRunning();
}
