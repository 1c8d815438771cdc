import { type Dispatch, submit } from '../compute/gpu/dispatch.ts';
import { idle } from './timing.ts';

/** Submits dispatches and waits until they are done. */
export async function encodeAndWait(device: GPUDevice, dispatches: readonly Dispatch[]): Promise<void> {
  submit(device, dispatches, 'measure');
  await idle(device);
}
