import { describe, expect, it } from 'vitest';
import { DeviceHealth } from './errors.ts';

const lostDevice = (reason: string) =>
  ({
    lost: Promise.resolve({ reason, message: 'the driver was reset' }),
    addEventListener: () => {},
  }) as unknown as GPUDevice;

describe('DeviceHealth', () => {
  it('says that the browser took the GPU away, and what to do, as often as it is asked', async () => {
    const health = new DeviceHealth(lostDevice('unknown'));
    await Promise.resolve();
    expect(health.failed).toBe(true);
    for (let asked = 0; asked < 2; asked++) {
      expect(() => health.check()).toThrow(
        expect.objectContaining({
          code: 'webgpu-device-lost',
          remedy: expect.stringContaining('Load the model again'),
        }),
      );
    }
  });

  it('takes a device that we destroyed for no loss', async () => {
    const health = new DeviceHealth(lostDevice('destroyed'));
    await Promise.resolve();
    expect(health.failed).toBe(false);
    expect(() => health.check()).not.toThrow();
  });
});
