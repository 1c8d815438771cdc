/** Requests the GPU adapter and device, and explains why there is none. */
import type { AdapterReport } from '../../../src/contract/engine-api.ts';
import { MixtabError } from '../../../src/contract/errors.ts';
import { within } from '../../../src/contract/within.ts';

/** Features that are requested if the adapter has them. Every kernel also runs without them. */
const OPTIONAL_FEATURES: readonly GPUFeatureName[] = ['timestamp-query', 'subgroups'];

/** Names of software implementations of WebGPU, as they appear in the adapter's info. */
const SOFTWARE = /swiftshader|llvmpipe|lavapipe|basic render|warp/i;

/** How long the browser may take to find an adapter, or to open a device, in milliseconds. Some never answer. */
const ANSWER_MS = 20_000;
/** How long the name of another adapter is waited for, in milliseconds: a load can do without. */
const OTHER_ADAPTER_MS = 5000;

/**
 * Requests the fastest adapter.
 * @throws MixtabError `webgpu-unsupported`, `webgpu-insecure-context` or `webgpu-no-adapter`
 */
export async function requestAdapter(): Promise<GPUAdapter> {
  if (!navigator.gpu) {
    if (!globalThis.isSecureContext) {
      throw new MixtabError(
        'webgpu-insecure-context',
        'The browser hides WebGPU because this page was not loaded over https or from localhost.',
        'Open the page over https, or from http://localhost.',
      );
    }
    throw new MixtabError(
      'webgpu-unsupported',
      'This browser has no WebGPU.',
      'Use a current Chrome, Edge, Firefox or Safari.',
    );
  }
  const request = navigator.gpu.requestAdapter({ powerPreference: 'high-performance' });
  const adapter = await within(ANSWER_MS, request, () => notAnswering('for a GPU'));
  if (!adapter) {
    throw new MixtabError(
      'webgpu-no-adapter',
      'This browser has WebGPU, but gives no GPU adapter: the driver is missing or blocked.',
      'Turn on hardware acceleration in the browser settings, update the graphics driver, and restart the browser.',
    );
  }
  return adapter;
}

const notAnswering = (wish: string): MixtabError =>
  new MixtabError(
    'webgpu-no-adapter',
    `This browser has WebGPU, but has not answered for ${ANSWER_MS / 1000} s after it was asked ${wish}.`,
    'Restart the browser. If that does not help, update the graphics driver, or compute on the CPU.',
  );

/** The adapter and its description, or the error that says why there is none. */
export type FoundAdapter = { adapter: GPUAdapter; report: AdapterReport } | { report?: undefined; error: unknown };

/** Calls {@link requestAdapter}, but never rejects. */
export async function findAdapter(): Promise<FoundAdapter> {
  try {
    const adapter = await requestAdapter();
    const report = reportAdapter(adapter);
    const other = await findOtherAdapter(report);
    return { adapter, report: { ...report, ...(other && { other }) } };
  } catch (error) {
    return { error };
  }
}

/** The name of the adapter that saves power, if this machine has two and the browser tells them apart. */
async function findOtherAdapter(report: AdapterReport): Promise<string | undefined> {
  const request = navigator.gpu.requestAdapter({ powerPreference: 'low-power' });
  const adapter = await within(OTHER_ADAPTER_MS, request, () => new Error('no answer in time')).catch(() => null);
  if (!adapter) return undefined;
  const other = reportAdapter(adapter);
  const name = nameOf(other);
  return other.software || name === nameOf(report) ? undefined : name || undefined;
}

const nameOf = ({ description, vendor, architecture }: AdapterReport): string =>
  description || [vendor, architecture].filter(Boolean).join(' ');

/**
 * Requests a device with the limits of the adapter, because the default limits are too small for large models.
 * @throws MixtabError `webgpu-no-adapter` if the browser does not answer; a device that comes later is destroyed
 */
export async function requestDevice(adapter: GPUAdapter): Promise<GPUDevice> {
  const { limits } = adapter;
  const request = adapter.requestDevice({
    label: 'mixtab',
    requiredFeatures: OPTIONAL_FEATURES.filter((feature) => adapter.features.has(feature)),
    requiredLimits: {
      maxBufferSize: limits.maxBufferSize,
      maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
      maxStorageBuffersPerShaderStage: Math.min(limits.maxStorageBuffersPerShaderStage, 10),
      maxComputeWorkgroupSizeX: limits.maxComputeWorkgroupSizeX,
      maxComputeInvocationsPerWorkgroup: limits.maxComputeInvocationsPerWorkgroup,
      maxComputeWorkgroupStorageSize: limits.maxComputeWorkgroupStorageSize,
    },
  });
  return within(ANSWER_MS, request, () => {
    request.then(
      (device) => device.destroy(),
      () => {}, // it was given up
    );
    return notAnswering('to open the GPU');
  });
}

/** Describes the adapter for the page and the command line. */
export function reportAdapter(adapter: GPUAdapter): AdapterReport {
  // Older browsers have no adapter.info.
  const {
    vendor = '',
    architecture = '',
    description = '',
    device = '',
    isFallbackAdapter = false,
  } = (adapter.info ?? {}) as Partial<GPUAdapterInfo>;
  return {
    vendor,
    architecture,
    description: description || device,
    software: isFallbackAdapter || SOFTWARE.test(`${vendor} ${architecture} ${description} ${device}`),
    features: [...adapter.features].sort(),
    maxStorageBufferBindingSize: adapter.limits.maxStorageBufferBindingSize,
    maxBufferSize: adapter.limits.maxBufferSize,
  };
}
