/**
 * Chooses the way of uploads for an adapter: by a short trial at the first load, remembered for the next visits.
 */
import type { Bytes } from '../../../../src/contract/ids.ts';
import type { AdapterMemory } from '../../../store/adapter-memory.ts';
import type { ModelRecords } from '../../model-records.ts';
import { withAllocations } from '../errors.ts';
import { decideVariant } from '../variants/decide.ts';
import { timeInTurns } from '../variants/measure-variants.ts';
import type { Uploads } from './upload-piece.ts';
import { createUploads, UPLOAD_WAYS, type UploadWay } from './uploads.ts';

/** Name of the choice among the facts about an adapter. */
const FACT = 'uploads';
/** Bytes per turn: enough that the time of a submission hardly counts, little beside a model. */
const TRIAL_BYTES: Bytes = 16 * 2 ** 20;
const TURNS = 7;
const DEADLINE_MS = 100;

export interface ChooseUploadsInputs {
  device: GPUDevice;
  /** The way that is used without a trial. Absent: it is measured. */
  uploads?: UploadWay;
  memory: AdapterMemory;
  /** Milliseconds by which the clock advances. */
  clockStepMs: number;
}

/** What copies a model's records to the GPU. A ring is as large as an expert's record. */
export async function openUploads(gpu: ChooseUploadsInputs, records: ModelRecords): Promise<Uploads> {
  const way = await chooseUploads(gpu);
  const largest = Math.max(
    ...records.expertLayouts().flatMap((layer) => layer.map(({ down }) => down.offset + down.bytes)),
  );
  try {
    return await withAllocations(
      gpu.device,
      () => createUploads(gpu.device, way, largest),
      (uploads) => uploads.destroy(),
    );
  } catch {
    return createUploads(gpu.device, 'write', largest); // a model fits without a ring, too
  }
}

/**
 * The way of uploads on this adapter. If the trial fails, or nothing is clearly faster, it is `writeBuffer`. What failed
 * is not remembered.
 * @param now milliseconds; default: `performance.now`
 */
export async function chooseUploads(inputs: ChooseUploadsInputs, now?: () => number): Promise<UploadWay> {
  const { device, uploads, memory, clockStepMs } = inputs;
  if (uploads) return uploads;
  const known = await memory.get(FACT);
  const remembered = UPLOAD_WAYS.find((way) => way === known);
  if (remembered) return remembered;
  try {
    const way = await tryWays(device, clockStepMs, now);
    if (way) await memory.set(FACT, way);
    return way ?? 'write';
  } catch {
    return 'write'; // a lost device, or too little memory: reported by the load itself, if it fails there as well
  }
}

/**
 * @returns undefined if the clock is too coarse
 * @throws MixtabError `gpu-out-of-memory`, or what WebGPU throws
 */
async function tryWays(
  device: GPUDevice,
  clockStepMs: number,
  now: (() => number) | undefined,
): Promise<UploadWay | undefined> {
  const bytes = Math.min(TRIAL_BYTES, device.limits.maxBufferSize);
  const { target, ways, destroy } = await withAllocations(
    device,
    () => allocateTrial(device, bytes),
    (trial) => trial.destroy(),
  );
  try {
    const source = new Uint8Array(bytes).fill(7);
    const candidates = ways.map(({ name, uploads }) => ({
      name,
      queue: () => {
        uploads.upload([{ buffer: target, offset: 0, bytes: source }]);
        device.queue.submit([]); // Chromium begins with what was written only then
      },
    }));
    const options = { turns: TURNS, deadlineMs: DEADLINE_MS, clockStepMs, ...(now && { now }) };
    const measured = await timeInTurns(device, candidates, options);
    return measured && decideVariant(measured, 'write');
  } finally {
    destroy();
  }
}

function allocateTrial(device: GPUDevice, bytes: Bytes) {
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
  const target = device.createBuffer({ label: 'upload trial', size: bytes, usage });
  const ways = UPLOAD_WAYS.map((name) => ({ name, uploads: createUploads(device, name, bytes) }));
  const destroy = (): void => {
    for (const { uploads } of ways) uploads.destroy();
    target.destroy();
  };
  return { target, ways, destroy };
}
