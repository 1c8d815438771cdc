/** A GPU that is ready for models. It is kept from one model to the next. */
import type { AdapterReport } from '../../../src/contract/engine-api.ts';
import { clockStepOf } from '../../experts/clock-step.ts';
import { AdapterMemory, adapterKey } from '../../store/adapter-memory.ts';
import { requestDevice } from './device.ts';
import { DeviceHealth } from './errors.ts';
import type { MatrixVariant } from './ops/context.ts';
import { Pacing } from './pacing.ts';
import { PipelineCache } from './pipelines.ts';
import type { UploadWay } from './uploads/uploads.ts';
import { defaultKernels, type KernelChoice } from './variants/kernel-variants.ts';

export interface Gpu {
  device: GPUDevice;
  adapter: AdapterReport;
  health: DeviceHealth;
  /** Kernels of all models so far: loading a model again, with another budget for example, compiles nothing. */
  pipelines: PipelineCache;
  /** The kernel variants of all models that are loaded from now on, unless they are measured. */
  kernels: KernelChoice;
  /** How kernels without variants of their own divide their work. */
  variant: MatrixVariant;
  /** Whether the first model chooses the variants by a measurement. Tests and benchmarks force them instead. */
  measureKernels: boolean;
  /** How records are copied to the GPU. Absent: a trial at the first load chooses. */
  uploads?: UploadWay;
  /**
   * Whether the kernels of a model are compared with float64 when they are first used. Software adapters are left out:
   * there it would take seconds, and the test suite runs every kernel on one.
   */
  checksKernels: boolean;
  /**
   * Whether budgets are measured by reading the GPU's memory. Otherwise it is only allocated, as on software adapters,
   * where using memory takes long.
   */
  measureMemory: boolean;
  /** Cuts work, so that a slow GPU can show the screen in between. Software adapters show nothing. */
  pacing?: Pacing;
  /** Milliseconds by which the clock advances. Times of a few steps say nothing. */
  clockStepMs: number;
  /** What was learned about this adapter in earlier visits. */
  memory: AdapterMemory;
}

/**
 * Requests a device. Each adapter can be opened once.
 * @param report describes the adapter
 * @param memory what was learned about it in this visit, if it was open before
 */
export async function openGpu(
  adapter: GPUAdapter,
  report: AdapterReport,
  memory = new AdapterMemory(adapterKey(report)),
): Promise<Gpu> {
  const device = await requestDevice(adapter);
  const clockStepMs = clockStepOf();
  return {
    device,
    adapter: report,
    health: new DeviceHealth(device),
    pipelines: new PipelineCache(device),
    kernels: defaultKernels(report.software),
    variant: report.software ? 'rows' : 'workgroup',
    measureKernels: !report.software,
    checksKernels: !report.software,
    measureMemory: !report.software,
    ...(!report.software && { pacing: new Pacing({ clockStepMs }) }),
    clockStepMs,
    memory,
  };
}
