/** What the page knows about measuring this GPU. */
import { signal } from '@preact/signals';
import type { MeasureReport } from '../../contract/measure-api.ts';

/** The report so far, or that of the last measurement. */
export const measureReport = signal<MeasureReport | undefined>(undefined);
/** Whether a measurement is running. */
export const measuring = signal(false);
/** Whether the user has stopped it, and it has not ended yet: a figure that has begun may take some seconds. */
export const stoppingMeasurement = signal(false);
