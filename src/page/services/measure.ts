/** Measures this GPU in a worker of its own. Part of the measuring view's code, which is loaded when it is opened. */
import { createMeasureClient } from '../../connect/measure-client.ts';
import type { MeasureOptions, MeasureReport } from '../../contract/measure-api.ts';
import { proxy } from '../../contract/rpc.ts';
import { measureReport, measuring, stoppingMeasurement } from '../state/measurement.ts';
import { announcement } from '../state/notices.ts';
import { report } from './problems.ts';

/**
 * In a page, a smaller model and less time than on the command line: 4 of 32 layers take about 4 GB, and people wait
 * for it.
 */
const PAGE_OPTIONS: Partial<MeasureOptions> = { layers: 4, deadlineSeconds: 240 };

/** How long a measurement may take to stop after the current figure, before its worker is ended. */
const STOP_PATIENCE_MS = 20_000;

let stopRunning = (): void => {};

/** Measures, and fills `measureReport` as it goes. Errors are shown as notices. */
export async function measureGpu(): Promise<void> {
  if (measuring.value) return;
  const client = createMeasureClient();
  let patience: ReturnType<typeof setTimeout> | undefined;
  stopRunning = () => {
    if (stoppingMeasurement.value) return;
    stoppingMeasurement.value = true;
    client.api.stop().catch(() => {}); // the worker was ended meanwhile
    patience = setTimeout(() => client.close(), STOP_PATIENCE_MS);
  };
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
    endUnfinishedStep();
  } finally {
    clearTimeout(patience);
    measuring.value = false;
    stoppingMeasurement.value = false;
    client.close();
  }
}

/** The worker has ended before it could say what became of its last step. */
function endUnfinishedStep(): void {
  const soFar = measureReport.value;
  if (!soFar) return;
  const steps = soFar.steps.map((step) => (step.status === 'running' ? { ...step, status: 'cut' as const } : step));
  measureReport.value = { ...soFar, steps };
}

/** Ends the measurement after the current figure, or after 20 s if the GPU does not answer. */
export function stopMeasuring(): void {
  stopRunning();
}
