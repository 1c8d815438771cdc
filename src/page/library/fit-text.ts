/** Describes in words whether a model fits on a device, and how fast it can be there. Pure functions. */

import { formatBytes } from '../../contract/format-bytes.ts';
import type { DeviceFigures, ExpectedSpeed } from './expected-speed.ts';

/** For each bound, its name in a sentence and the rate in `DeviceFigures`. */
const BOUNDS = {
  gpu: ['GPU memory', 'gpuRate'],
  ram: ['RAM', 'ramRate'],
  store: ['the disk', 'storeRate'],
} as const;

const speedText = (tokensPerSecond: number): string =>
  tokensPerSecond >= 10 ? String(Math.round(tokensPerSecond)) : tokensPerSecond.toPrecision(2);

/** @returns a few words for a list, such as `streams, up to 2.3 tokens/s` */
export function fitShort({ fit, leastGpuBytes, tokensPerSecond }: ExpectedSpeed): string {
  if (fit === 'too-large') return `needs ${formatBytes(leastGpuBytes)} of GPU memory`;
  return `${fit === 'resident' ? 'fits' : 'streams'}, up to ${speedText(tokensPerSecond)} tokens/s`;
}

/** @returns a predicate without a full stop, to follow "This model". It names the rate behind the speed. */
export function fitText(device: DeviceFigures, expected: ExpectedSpeed): string {
  const { fit, leastGpuBytes, residentGpuBytes, hitRate, tokensPerSecond, boundBy } = expected;
  const budget = `${formatBytes(device.gpuBytes)} of GPU memory`;
  if (fit === 'too-large') return `does not run in ${budget}: it needs at least ${formatBytes(leastGpuBytes)}`;
  const [name, rate] = BOUNDS[boundBy];
  const speed = `up to ${speedText(tokensPerSecond)} tokens/s if ${name} delivers ${formatBytes(device[rate])}/s`;
  if (fit === 'resident') return `fits completely in ${budget}: ${speed}`;
  return (
    `runs in ${budget} (the whole model takes ${formatBytes(residentGpuBytes)}). ` +
    `About ${Math.round(hitRate * 100)}% of the experts a token needs are already there: ${speed}`
  );
}
