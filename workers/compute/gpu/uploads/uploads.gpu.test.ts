/** Both ways of uploads on an adapter: the same bytes, and the same tokens while experts come and go. */
import { afterEach, expect, it, vi } from 'vitest';
import { engineWith, GpuEngine, sharedGpu } from '../../../engine/testing.ts';
import type { RecordReader } from '../../../store/record-reader.ts';
import { SYNTH_PRESETS } from '../../../synth/presets.ts';
import { whole } from '../dispatch.ts';
import { splitting } from '../stored-model-testing.ts';
import { getTestDevice, readBack } from '../testing.ts';
import { UploadRing } from './upload-ring.ts';
import { createUploads, UPLOAD_WAYS } from './uploads.ts';

const { adjust } = sharedGpu;
afterEach(() => {
  sharedGpu.adjust = adjust;
  vi.restoreAllMocks();
});

/** Bytes of a staging buffer in these tests: no multiple of 256. */
const STAGING = 1004;

it('delivers the same bytes, of odd sizes and to odd places, also while a ring is full', async () => {
  const device = await getTestDevice();
  const usage = GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
  device.pushErrorScope('validation');
  const makers = [
    ...UPLOAD_WAYS.map((way) => () => createUploads(device, way, 2 ** 20)),
    () => new UploadRing(device, 5 * STAGING, STAGING),
  ];
  const results: Uint8Array[] = [];
  for (const create of makers) {
    const uploads = create();
    const buffer = device.createBuffer({ size: 30_000, usage });
    for (let turn = 0; turn < 4; turn++) {
      // Half of the turns wait until the GPU is done, the others find staging buffers in use.
      if (turn % 2) await device.queue.onSubmittedWorkDone();
      const piece = (offset: number, length: number) => ({
        buffer,
        offset,
        bytes: Uint8Array.from({ length }, (_, i) => (i * 7 + turn * 31 + offset) & 255),
      });
      uploads.upload([piece(turn * 1028, 4), piece(5000 + turn * 4, 3012), piece(9996, 12_340), piece(29_996, 4)]);
    }
    results.push(await readBack(device, whole(buffer), Uint8Array));
    uploads.destroy();
    buffer.destroy();
  }
  expect(await device.popErrorScope()).toBeNull();
  expect(results[0].some((byte) => byte > 0)).toBe(true);
  for (const result of results) expect(result).toEqual(results[0]);
});

it('gives the same tokens by either way, also if records come in parts, though experts come and go', async () => {
  const model = { ...SYNTH_PRESETS.tiny, layers: 2, feedForwardLength: 4096, seed: 8 };
  const { engine: direct, store, modelId } = await engineWith(model);
  const fromStore: RecordReader = { read: (id, record) => store.readPartsVerified(id, record) };
  let parts = 0;
  const inParts = new GpuEngine(store, { reader: splitting(fromStore, 100_000, () => parts++) });
  const copy = vi.spyOn(GPUCommandEncoder.prototype, 'copyBufferToBuffer');
  const answers: unknown[] = [];
  for (const [uploads, engine] of [
    ['write', direct],
    ['ring', direct],
    ['write', inParts],
    ['ring', inParts],
  ] as const) {
    sharedGpu.adjust = (gpu) => ({ ...gpu, uploads });
    const { slots } = await engine.load({ modelId, context: 128, gpuBudgetBytes: 24e6 }, () => {});
    expect(slots).toBeGreaterThan(4);
    expect(slots).toBeLessThan(16);
    copy.mockClear();
    parts = 0;
    const { tokens, cache } = await engine.generate(
      { input: { kind: 'text', text: 'the sea' }, maxTokens: 12, sampling: { temperature: 0 }, ignoreEos: true },
      () => {},
    );
    expect(cache.misses).toBeGreaterThan(0);
    const staged = copy.mock.calls.filter(([source]) => source.label === 'staging');
    expect(staged.length > 0).toBe(uploads === 'ring');
    expect(parts > 0).toBe(uploads === 'ring' && engine === inParts);
    answers.push(tokens.map(({ id, logprob }) => [id, logprob]));
    await engine.unload();
  }
  for (const answer of answers) expect(answer).toEqual(answers[0]);
});
