import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { findAdapter, reportAdapter, requestDevice } from './device.ts';

const adapter = (info: Partial<GPUAdapterInfo> | undefined) =>
  ({
    info,
    features: new Set(['shader-f16']),
    limits: { maxStorageBufferBindingSize: 1, maxBufferSize: 2 },
  }) as unknown as GPUAdapter;

it('reports an adapter without info', () => {
  expect(reportAdapter(adapter(undefined))).toMatchObject({
    vendor: '',
    description: '',
    software: false,
    features: ['shader-f16'],
  });
});

it('requests of the optional features only those that are used', async () => {
  const request = vi.fn(async (_: GPUDeviceDescriptor) => ({}));
  const features = new Set(['shader-f16', 'subgroups', 'texture-compression-bc', 'timestamp-query']);
  await requestDevice({ ...adapter({}), features, requestDevice: request } as unknown as GPUAdapter);
  expect(request.mock.calls[0][0].requiredFeatures).toEqual(['timestamp-query', 'subgroups']);
});

it('recognizes a software adapter by the fallback flag or by its name', () => {
  expect(reportAdapter(adapter({ vendor: 'a', isFallbackAdapter: true })).software).toBe(true);
  expect(reportAdapter(adapter({ vendor: 'google', architecture: 'swiftshader' })).software).toBe(true);
  expect(reportAdapter(adapter({ vendor: 'nvidia', device: 'h100' }))).toMatchObject({
    software: false,
    description: 'h100',
  });
});

/** A browser that offers these GPUs to programs that want speed, and to those that save power. */
function stubAdapters(fast: Partial<GPUAdapterInfo>, saving: Partial<GPUAdapterInfo> | null): void {
  vi.stubGlobal('navigator', {
    gpu: {
      requestAdapter: async ({ powerPreference }: GPURequestAdapterOptions) =>
        powerPreference === 'high-performance' ? adapter(fast) : saving && adapter(saving),
    },
  });
}
afterEach(() => vi.unstubAllGlobals());

it('reports the other GPU of a machine with two', async () => {
  stubAdapters({ vendor: 'nvidia', architecture: 'lovelace' }, { vendor: 'intel', architecture: 'gen-12lp' });
  expect((await findAdapter()).report).toMatchObject({ vendor: 'nvidia', other: 'intel gen-12lp' });
});

it.each([
  ['the same GPU', { vendor: 'apple', architecture: 'metal-3' }],
  ['none', null],
  ['a software one', { vendor: 'google', architecture: 'swiftshader' }],
])('reports no other GPU if the browser offers %s to save power', async (_name, saving) => {
  stubAdapters({ vendor: 'apple', architecture: 'metal-3' }, saving);
  const { report } = await findAdapter();
  expect(report).toMatchObject({ vendor: 'apple' });
  expect(report).not.toHaveProperty('other');
});

describe('a browser that does not answer', () => {
  const never = () => new Promise<never>(() => {});
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('has no adapter after 20 s', async () => {
    vi.stubGlobal('navigator', { gpu: { requestAdapter: never } });
    const found = findAdapter();
    let isFound = false;
    void found.then(() => (isFound = true));
    await vi.advanceTimersByTimeAsync(19_000);
    expect(isFound).toBe(false);
    await vi.advanceTimersByTimeAsync(1000);
    expect(await found).toMatchObject({
      error: { code: 'webgpu-no-adapter', message: expect.stringContaining('has not answered for 20 s') },
    });
  });

  it('has no second GPU if it answers only for the first', async () => {
    vi.stubGlobal('navigator', {
      gpu: {
        requestAdapter: ({ powerPreference }: GPURequestAdapterOptions) =>
          powerPreference === 'low-power' ? never() : Promise.resolve(adapter({ vendor: 'apple' })),
      },
    });
    const found = findAdapter();
    await vi.advanceTimersByTimeAsync(5000);
    const { report } = await found;
    expect(report).toMatchObject({ vendor: 'apple' });
    expect(report).not.toHaveProperty('other');
  });

  it('opens no device after 20 s, and one that comes later is destroyed', async () => {
    let open = (_device: Partial<GPUDevice>): void => {};
    const slow = { ...adapter({}), requestDevice: () => new Promise((resolve) => (open = resolve)) };
    const refused = expect(requestDevice(slow as unknown as GPUAdapter)).rejects.toMatchObject({
      code: 'webgpu-no-adapter',
      message: expect.stringContaining('to open the GPU'),
    });
    await vi.advanceTimersByTimeAsync(20_000);
    await refused;
    const destroy = vi.fn();
    open({ destroy });
    await vi.advanceTimersByTimeAsync(0);
    expect(destroy).toHaveBeenCalledTimes(1);
  });
});
