/**
 * Measures a GPU: what it can do at most, how near mixtab's kernels come to it, and the whole engine on a synthetic
 * model. Runs in a worker of the page and, under Dawn, in Node. README.md says what the figures mean.
 */
import type { MeasureOptions, MeasureReport, MeasureStep } from '../../src/contract/measure-api.ts';
import { findAdapter } from '../compute/gpu/device.ts';
import { withAllocations } from '../compute/gpu/errors.ts';
import { type Gpu, openGpu } from '../compute/gpu/open-gpu.ts';
import { Measurement } from './measurement.ts';
import { describeAdapter } from './steps/adapter.ts';
import { measureCeilings } from './steps/ceilings.ts';
import { checkKernels } from './steps/correctness.ts';
import { measureEngine, measureTightBudget } from './steps/engine.ts';
import { measurePromptAttention, measureTokenOperations } from './steps/layer.ts';
import { measureOneMatrix, measurePromptMatrices, measureTokenMatrices } from './steps/matrices.ts';
import { measureUploads } from './steps/uploads.ts';

interface Step {
  id: string;
  title: string;
  run: (measurement: Measurement) => Promise<void>;
  /** Runs whatever steps were asked for. */
  always?: true;
}

/** All steps in their order: the most useful first, in case the time does not suffice. */
const STEPS: readonly Step[] = [
  { id: 'adapter', title: 'The GPU', run: describeAdapter, always: true },
  { id: 'correctness', title: 'Kernels compared with float64', run: checkKernels, always: true },
  { id: 'ceilings', title: 'What the GPU can do at most', run: measureCeilings },
  { id: 'token-matrices', title: 'Matrices of one token', run: measureTokenMatrices },
  { id: 'token-operations', title: 'The rest of a token', run: measureTokenOperations },
  { id: 'prompt-matrices', title: 'Matrices of a prompt', run: measurePromptMatrices },
  { id: 'prompt-attention', title: 'Attention of a prompt', run: measurePromptAttention },
  { id: 'uploads', title: 'Uploads', run: measureUploads },
  { id: 'engine', title: 'The whole engine', run: measureEngine },
  { id: 'tight-budget', title: 'The engine with a part of the experts', run: measureTightBudget },
  { id: 'again', title: 'Ceilings once more, to see the noise', run: measureAgain },
];

/** The ids of all steps, in their order. */
export const STEP_IDS: readonly string[] = STEPS.map(({ id }) => id);

async function measureAgain(measurement: Measurement): Promise<void> {
  await measureCeilings(measurement);
  await measureOneMatrix(measurement);
}

/** What suits an adapter: a software adapter would need hours for Mixtral's shapes. */
export const defaultOptions = (software: boolean): MeasureOptions => ({
  tiny: software,
  deadlineSeconds: 510,
  layers: 32,
});

export interface MeasureInputs {
  options: Partial<MeasureOptions>;
  /** Aborted to end the measurement after the current figure. */
  signal: AbortSignal;
  /** Called after each figure. */
  onReport: (report: MeasureReport) => void;
}

/**
 * Runs all steps, or those that the options name.
 * @throws MixtabError `webgpu-unsupported`, `webgpu-insecure-context`, `webgpu-no-adapter` or `webgpu-device-lost`
 */
export async function measure({ options: wanted, signal, onReport }: MeasureInputs): Promise<MeasureReport> {
  const startedAt = performance.now();
  const found = await findAdapter();
  if ('error' in found) throw found.error;
  const gpu = await openGpu(found.adapter, found.report);
  const options = { ...defaultOptions(found.report.software), ...wanted };
  const report: MeasureReport = {
    version: 1,
    program: navigator.userAgent,
    options,
    adapter: found.report,
    steps: [],
  };
  const isOver = (): boolean => signal.aborted || performance.now() - startedAt > options.deadlineSeconds * 1000;
  const run: Run = { gpu, report, signal, isOver, onReport, measurement: new Measurement({ gpu, options, isOver }) };
  try {
    for (const step of STEPS) {
      if (!step.always && options.steps && !options.steps.includes(step.id)) continue;
      await runStep(step, run);
    }
  } finally {
    gpu.device.destroy();
  }
  return report;
}

interface Run {
  gpu: Gpu;
  report: MeasureReport;
  signal: AbortSignal;
  isOver: () => boolean;
  onReport: (report: MeasureReport) => void;
  /** One for all steps, because later ones compare with what the ceilings found. */
  measurement: Measurement;
}

/** Why a step is not run. */
function reasonToSkip({ gpu, report, signal, isOver }: Run): string | undefined {
  if (report.correct === false) return 'Kernels compute wrong values on this GPU, so their speed means nothing.';
  if (gpu.health.failed) return 'The GPU failed before.';
  if (signal.aborted) return 'The measurement was stopped.';
  return isOver() ? 'The time was over.' : undefined;
}

async function runStep({ id, title, run }: Step, state: Run): Promise<void> {
  const { gpu, report, isOver, onReport, measurement } = state;
  const step: MeasureStep = { id, title, status: 'running', seconds: 0, rows: [] };
  report.steps.push(step);
  const problem = reasonToSkip(state);
  if (problem) {
    Object.assign(step, { status: 'skipped', problem });
    onReport(report);
    return;
  }
  const startedAt = performance.now();
  const update = (): void => {
    step.seconds = (performance.now() - startedAt) / 1000;
    onReport(report);
  };
  update();
  measurement.onRow = (row) => {
    step.rows.push(row);
    update();
  };
  try {
    await withAllocations(
      gpu.device,
      () => run(measurement),
      () => {},
    );
    step.status = isOver() ? 'cut' : 'done';
  } catch (error) {
    Object.assign(step, { status: 'failed', problem: error instanceof Error ? error.message : String(error) });
    if (id === 'correctness') measurement.correct = false;
  }
  if (measurement.correct !== undefined) report.correct = measurement.correct;
  update();
}
