/** What computes the model, in words: on the GPU or the CPU, and why. */
import { computed } from '@preact/signals';
import type { AdapterReport, ComputeKind, ComputeReport } from '../../contract/engine-api.ts';
import type { ErrorCode } from '../../contract/errors.ts';
import type { Bytes } from '../../contract/ids.ts';
import { mostMemory as mostMemoryOf } from '../../contract/most-memory.ts';
import { lastLoaded, loaded, probed } from './models.ts';
import { loadOptionsOf, settings } from './settings.ts';

/** What computes the loaded model, or will compute the next one. It decides which settings apply. */
export const computeKind = computed<ComputeKind>(() => {
  const { compute } = settings.value;
  if (compute !== 'auto') return compute;
  const last = (loaded.value ?? lastLoaded.value)?.compute;
  if (last && last.reason !== 'requested') return last.kind;
  return probed.value?.automatic?.kind ?? 'gpu';
});

/** The most memory that a model will take with the present settings: see {@link mostMemoryOf}. */
export const mostMemory = (storedBytes: Bytes): Bytes =>
  mostMemoryOf(storedBytes, loadOptionsOf({ ...settings.value, compute: computeKind.value }));

/** Names of the two, for short labels. */
export const COMPUTE_NAME = { gpu: 'GPU', cpu: 'CPU' } as const satisfies Record<ComputeKind, string>;

/** Where resident experts are, after "is", "are" or a comma. */
export const RESIDENT_WHERE = { gpu: 'on the GPU', cpu: 'in memory' } as const satisfies Record<ComputeKind, string>;

/** Describes the adapter in a few words; empty if the browser does not name it. */
export const adapterName = (adapter: AdapterReport | undefined): string =>
  adapter?.description || [adapter?.vendor, adapter?.architecture].filter(Boolean).join(' ');

const named = (adapter: AdapterReport | undefined): string => {
  const name = adapterName(adapter);
  return name && ` (${name})`;
};

/**
 * Which GPU a browser gets on a machine with two is decided by the system. Windows may give it the slower one and hide
 * the other; there the vendor says whether that is possible.
 * @returns how to choose the other GPU; undefined if there is no sign of one
 */
export function otherGpuHint(adapter: AdapterReport | undefined, userAgent: string): string | undefined {
  if (!adapter || adapter.software) return undefined;
  const windows = /Windows/.test(userAgent);
  if (!adapter.other && !(windows && /^(intel|amd)$/i.test(adapter.vendor))) return undefined;
  const found = adapter.other
    ? `This computer has another GPU (${adapter.other}). To use it`
    : 'If this computer has another, faster GPU';
  if (windows) {
    return (
      `${found}: in the settings of Windows, under System, Display, Graphics, add this browser, choose ` +
      `${adapter.other ? 'the GPU' : 'High performance'}, and restart it.`
    );
  }
  return `${found}, choose it for this browser in the system's graphics or energy settings, and restart the browser.`;
}

/**
 * Says which of the two computes, and why.
 * @param adapter the loaded model's
 * @param noGpu why there is no GPU, if that is known
 * @returns words without a full stop, such as `Computing on the CPU with 2 threads, because this browser has no WebGPU`
 */
export function computeText(
  { kind, reason, threads }: ComputeReport,
  adapter: AdapterReport | undefined,
  noGpu: ErrorCode | undefined,
): string {
  if (kind === 'gpu') {
    const which = adapter?.software ? 'a software GPU, which is slow' : 'the GPU';
    return `Computing on ${which}${named(adapter)}${reason === 'requested' ? ', as you chose' : ''}`;
  }
  const because = {
    requested: ', as you chose',
    gpu: '',
    'software-gpu': ', because the only GPU here is software, which is slower',
    'no-gpu': `, because ${noGpu === 'webgpu-unsupported' ? 'this browser has no WebGPU' : 'the browser offers no GPU'}`,
    'gpu-failed': ', because the GPU failed twice',
    'gpu-wrong-values': `, because this GPU${named(adapter)} computes wrong values with this browser and driver`,
  }[reason];
  const workers = threads === undefined ? '' : ` with ${threads} ${threads === 1 ? 'thread' : 'threads'}`;
  return `Computing on the CPU${workers}${because}`;
}

/** {@link computeText} of the loaded model; undefined if there is none. */
export const computeStatus = computed<string | undefined>(
  () => loaded.value && computeText(loaded.value.compute, loaded.value.adapter, probed.value?.gpuError?.code),
);

/** Whether the CPU computes only because the browser offers no GPU. Then a hint says how to get more speed. */
export const lacksGpu = computed(() => loaded.value?.compute.reason === 'no-gpu');
