/** The interface of the measuring worker: how fast this GPU runs mixtab's kernels and the engine, as a report. */
import type { AdapterReport } from './engine-api.ts';
import type { Bytes } from './ids.ts';

/** What to measure. */
export interface MeasureOptions {
  /** Small shapes, for software adapters and tests. The figures say nothing about a GPU. */
  tiny: boolean;
  /** Seconds after which no further measurement begins. What is left is reported as skipped. */
  deadlineSeconds: number;
  /** Layers of the model of the whole-engine steps: 32 is Mixtral 8x7B, which takes 26 GB if it is resident. */
  layers: number;
  /** GPU memory that the whole-engine steps may take; default: as loading a model without a budget. */
  gpuBudgetBytes?: Bytes;
  /** Ids of the steps to run; default: all. The adapter and the kernels' correctness are always included. */
  steps?: readonly string[];
}

/** One figure. */
export interface MeasureRow {
  /** What was measured: `gate+up 14336x4096 Q4_K`. */
  name: string;
  /** The kernel variants, if they are not the default ones: `vector=staged`. */
  variant?: string;
  value: number;
  /** `ms`, `us`, `GB/s`, `TFLOP/s`, `tokens/s`, `error`, or empty for a plain number. */
  unit: string;
  /** `value` as a share of what the ceilings step found, 0 .. 1: of the read bandwidth, or of the f32 rate. */
  share?: number;
  /** A text instead of a number, for example a list of features. */
  text?: string;
}

/**
 * `cut`: the deadline or a stop came in the middle. `skipped`: one of them came before, or an earlier step found that
 * kernels compute wrong values.
 */
export type MeasureStatus = 'running' | 'done' | 'cut' | 'skipped' | 'failed';

/** The figures of one step. */
export interface MeasureStep {
  id: string;
  title: string;
  status: MeasureStatus;
  /** How long it took. */
  seconds: number;
  rows: MeasureRow[];
  /** Why it was skipped or has failed. */
  problem?: string;
}

/** Everything that was measured. This is the JSON that people report. */
export interface MeasureReport {
  /** Changes if the meaning of a figure changes. */
  version: 1;
  /** The browser, or Node with its version. */
  program: string;
  options: MeasureOptions;
  adapter: AdapterReport;
  /** Whether all kernels agreed with float64; absent until that step has run. If false, no time means anything. */
  correct?: boolean;
  steps: MeasureStep[];
}

/** Measures the GPU. One measurement runs at a time. */
export interface MeasureApi {
  /**
   * @param options default: what suits the adapter, see `defaultOptions` in workers/measure
   * @param onReport called after each figure with the report so far
   * @returns the finished report; after {@link stop}, with its last steps skipped
   * @throws MixtabError `webgpu-unsupported`, `webgpu-insecure-context`, `webgpu-no-adapter`, `webgpu-device-lost`
   */
  measure(options: Partial<MeasureOptions>, onReport: (report: MeasureReport) => void): Promise<MeasureReport>;
  /** Ends the measurement after the current figure. */
  stop(): Promise<void>;
}
