import { describe, expect, it } from 'vitest';
import { DeviceHealth } from './errors.ts';

const lostDevice = (reason: string) =>
  ({
    lost: Promise.resolve({ reason, message: 'the driver was reset' }),
    addEventListener: () => {},
  }) as unknown as GPUDevice;

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
});
