import { expect, it } from 'vitest';
import { reportAdapter } from './device.ts';

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

it('recognizes a software adapter by the fallback flag or by its name', () => {
  expect(reportAdapter(adapter({ vendor: 'a', isFallbackAdapter: true })).software).toBe(true);
  expect(reportAdapter(adapter({ vendor: 'google', architecture: 'swiftshader' })).software).toBe(true);
  expect(reportAdapter(adapter({ vendor: 'nvidia', device: 'h100' }))).toMatchObject({
    software: false,
    description: 'h100',
  });
});
