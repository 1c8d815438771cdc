import { afterEach, expect, it, vi } from 'vitest';
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
