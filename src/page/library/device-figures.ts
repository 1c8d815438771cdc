/** The device that models on this page would run on, for estimates of their speed. */
import { computeKind } from '../state/compute.ts';
import { loaded, probed } from '../state/models.ts';
import { settings } from '../state/settings.ts';
import {
  ASSUMED_CPU_RATES,
  ASSUMED_GPU_BYTES,
  ASSUMED_RATES,
  assumedCpuBytes,
  type CpuFigures,
  type DeviceFigures,
  type GpuFigures,
} from './expected-speed.ts';

/** @returns the memory budgets from the settings, and assumed rates */
export const deviceFigures = (): DeviceFigures => (computeKind.value === 'gpu' ? gpuFigures() : cpuFigures());

function gpuFigures(): GpuFigures {
  const { gpuBudgetMegabytes, ramBudgetMegabytes = 0 } = settings.value;
  const adapter = loaded.value?.adapter ?? probed.value?.adapter;
  const kind = adapter?.software ? 'software' : 'hardware';
  const gpuBytes = gpuBudgetMegabytes === undefined ? ASSUMED_GPU_BYTES[kind] : gpuBudgetMegabytes * 1e6;
  return { kind: 'gpu', gpuBytes, ramBytes: ramBudgetMegabytes * 1e6, ...ASSUMED_RATES[kind] };
}

function cpuFigures(): CpuFigures {
  const { cpuBudgetMegabytes, threads } = settings.value;
  const { deviceMemory, hardwareConcurrency = 1 } = navigator as Navigator & { deviceMemory?: number };
  return {
    kind: 'cpu',
    ramBytes: cpuBudgetMegabytes === undefined ? assumedCpuBytes(deviceMemory) : cpuBudgetMegabytes * 1e6,
    threads: threads ?? hardwareConcurrency,
    ...ASSUMED_CPU_RATES,
  };
}
