/** A GPU that is ready for models. It is kept from one model to the next. */
import type { AdapterReport } from '../../../src/contract/engine-api.ts';
import { requestDevice } from './device.ts';
import { DeviceHealth } from './errors.ts';

export interface Gpu {
  device: GPUDevice;
  adapter: AdapterReport;
  health: DeviceHealth;
}

/**
 * Requests a device. Each adapter can be opened once.
 * @param report describes the adapter
 */
export async function openGpu(adapter: GPUAdapter, report: AdapterReport): Promise<Gpu> {
  const device = await requestDevice(adapter);
  return { device, adapter: report, health: new DeviceHealth(device) };
}
