/** Whether a model fits a device and how fast it can be, in words. */

import { formatBytes } from '../../contract/format-bytes.ts';
import type { DeviceFigures, ExpectedSpeed } from './expected-speed.ts';

const BOUNDS = {
  gpu: ['GPU memory', 'gpuRate'],
  ram: ['main memory', 'ramRate'],
  store: ['the disk', 'storeRate'],
} as const;

const speedText = (tokensPerSecond: number): string =>
  tokensPerSecond >= 10 ? String(Math.round(tokensPerSecond)) : tokensPerSecond.toPrecision(2);

/** The same in a few words. */
export function fitShort({ fit, leastGpuBytes, tokensPerSecond }: ExpectedSpeed): string {
  if (fit === 'too-large') return `needs ${formatBytes(leastGpuBytes)} of GPU memory`;
  return `${fit === 'resident' ? 'fits' : 'streams'}, at most ${speedText(tokensPerSecond)} tokens/s`;
}

/** One or two clauses without a full stop; names the rate that the speed was computed from. */
export function fitText(device: DeviceFigures, expected: ExpectedSpeed): string {
  const { fit, leastGpuBytes, residentGpuBytes, hitRate, tokensPerSecond, boundBy } = expected;
  const budget = `${formatBytes(device.gpuBytes)} of GPU memory`;
  if (fit === 'too-large') return `does not run in ${budget}: it needs at least ${formatBytes(leastGpuBytes)}`;
  const [name, rate] = BOUNDS[boundBy];
  const bound = `at most ${speedText(tokensPerSecond)} tokens a second if ${name} gives ${formatBytes(device[rate])} a second`;
  if (fit === 'resident') return `fits ${budget} whole: ${bound}`;
  return (
    `runs in ${budget}, of which all its experts would take ${formatBytes(residentGpuBytes)}; ` +
    `about ${Math.round(hitRate * 100)} % of what a token needs is found there: ${bound}`
  );
}
