import { afterEach, describe, expect, it, vi } from 'vitest';
import { DeviceHealth } from './errors.ts';

const lostDevice = (reason: string) =>
  ({
    lost: Promise.resolve({ reason, message: 'the driver was reset' }),
    addEventListener: () => {},
  }) as unknown as GPUDevice;

afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

describe('DeviceHealth', () => {
  it('throws the loss of the device, with a remedy, at every check', async () => {
    const health = new DeviceHealth(lostDevice('unknown'));
    await Promise.resolve();
    expect(health.failed).toBe(true);
    expect(health.signal.reason).toMatchObject({ code: 'webgpu-device-lost' });
    for (let check = 0; check < 2; check++) {
      expect(() => health.check()).toThrow(
        expect.objectContaining({
          code: 'webgpu-device-lost',
          remedy: expect.stringContaining('Load the model again'),
        }),
      );
    }
  });

  it('does not report a device that was destroyed on purpose', async () => {
    const health = new DeviceHealth(lostDevice('destroyed'));
    await Promise.resolve();
    expect(health.failed).toBe(false);
    expect(health.signal.aborted).toBe(false);
    expect(() => health.check()).not.toThrow();
  });

  it('aborts its signal as soon as WebGPU reports an error; a later loss replaces that error', async () => {
    vi.stubGlobal('GPUOutOfMemoryError', class extends Error {});
    vi.spyOn(console, 'error').mockImplementation(() => {});
    let report = (_: unknown): void => {};
    let lose = (_: unknown): void => {};
    const health = new DeviceHealth({
      lost: new Promise((resolve) => {
        lose = resolve;
      }),
      addEventListener: (_: string, listener: typeof report) => {
        report = listener;
      },
    } as unknown as GPUDevice);
    report({ error: new GPUOutOfMemoryError('no memory') });
    expect(health.signal.reason).toMatchObject({ code: 'gpu-out-of-memory' });
    expect(health.failure).toBe(health.signal);
    expect(() => health.check()).toThrow('no memory');
    report({ error: new Error('a later error') });
    expect(() => health.check()).toThrow('no memory');
    lose({ reason: 'unknown', message: '' });
    await Promise.resolve();
    expect(() => health.check()).toThrow(expect.objectContaining({ code: 'webgpu-device-lost' }));
    expect(health.signal.reason).toMatchObject({ code: 'gpu-out-of-memory' });
    expect(health.failure.reason).toMatchObject({ code: 'webgpu-device-lost' });
  });
});
