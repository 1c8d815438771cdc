/** Describes in words whether a model fits on a device, and how fast it can be there. Pure functions. */

import { formatBytes } from '../../contract/format-bytes.ts';
import type { DeviceFigures, ExpectedSpeed } from './expected-speed.ts';

/** The condition of an estimated speed: what has to be as fast as assumed. */
function conditionOf(device: DeviceFigures, boundBy: ExpectedSpeed['boundBy']): string {
  if (boundBy === 'store') return `the disk delivers ${formatBytes(device.storeRate)}/s`;
  if (device.kind === 'gpu')
    return boundBy === 'ram'
      ? `RAM delivers ${formatBytes(device.ramRate)}/s`
      : `GPU memory delivers ${formatBytes(device.gpuRate)}/s`;
  const { threads, flopsPerThread } = device;
  const speed = `${Math.round(flopsPerThread / 1e9)} GFLOP/s`;
  return threads === 1 ? `one CPU thread computes ${speed}` : `${threads} CPU threads compute ${speed} each`;
}

/** @returns the memory that limits the model, such as `8.0 GB of GPU memory` */
export const memoryText = (device: DeviceFigures): string =>
  device.kind === 'gpu' ? `${formatBytes(device.gpuBytes)} of GPU memory` : `${formatBytes(device.ramBytes)} of memory`;

const speedText = (tokensPerSecond: number): string =>
  tokensPerSecond >= 10 ? String(Math.round(tokensPerSecond)) : tokensPerSecond.toPrecision(2);

/** @returns a few words for a list, such as `streams, up to 2.3 tokens/s` */
export function fitShort({ kind }: Pick<DeviceFigures, 'kind'>, expected: ExpectedSpeed): string {
  const { fit, leastBytes, tokensPerSecond } = expected;
  if (fit === 'too-large') return `needs ${formatBytes(leastBytes)} of ${kind === 'gpu' ? 'GPU memory' : 'memory'}`;
  return `${fit === 'resident' ? 'fits' : 'streams'}, up to ${speedText(tokensPerSecond)} tokens/s`;
}

/** @returns a predicate without a full stop, to follow "This model". It names the rate behind the speed. */
export function fitText(device: DeviceFigures, expected: ExpectedSpeed): string {
  const { fit, leastBytes, residentBytes, hitRate, tokensPerSecond, boundBy } = expected;
  const budget = memoryText(device);
  if (fit === 'too-large') return `does not run in ${budget}: it needs at least ${formatBytes(leastBytes)}`;
  const speed = `up to ${speedText(tokensPerSecond)} tokens/s if ${conditionOf(device, boundBy)}`;
  if (fit === 'resident') return `fits completely in ${budget}: ${speed}`;
  return (
    `runs in ${budget} (the whole model takes ${formatBytes(residentBytes)}). ` +
    `About ${Math.round(hitRate * 100)}% of the experts a token needs are already there: ${speed}`
  );
}
