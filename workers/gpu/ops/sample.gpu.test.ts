import { expect, it } from 'vitest';
import { allocate, getTestDevice, makeContext, measure, readBack, run, upload, uploadRows, randomNormal, seededRandom } from '../testing.ts';
import { readSampleResult, sample, SAMPLE_RESULT_BYTES, writeSampleParams } from './sample.ts';
for (const variant of ['rows', 'workgroup'] as const)
for (const V of [301, 4096, 32000])
it(`smoke ${variant} ${V}`, async () => {
  const gpu = await getTestDevice();
  const ctx = await makeContext(variant);
  const logits = randomNormal(seededRandom(1), V, 3);
  const result = allocate(gpu, SAMPLE_RESULT_BYTES);
  for (const [options, top] of [[{ temperature: 0 }, 0], [{ temperature: 0 }, 5], [{ temperature: 0.8, topK: 40, topP: 0.9, minP: 0.01 }, 5], [{}, 0]] as const) {
    const d = sample(ctx, { logits: uploadRows(gpu, logits, V), vocabularySize: V, params: upload(gpu, new Uint8Array(writeSampleParams(options, 42, top))), counts: allocate(gpu, V * 4), bias: allocate(gpu, V * 4), tokens: allocate(gpu, 4), result, scratch: allocate(gpu, V * 4) });
    await run(gpu, () => d);
    const r = readSampleResult((await readBack(gpu, result, Uint8Array)).buffer as ArrayBuffer);
    const max = logits.indexOf(Math.max(...logits));
    console.log(variant, V, JSON.stringify(options), top, JSON.stringify(r), max, logits[max], await measure(gpu, d, { rounds: 3, repeats: 5 }));
    expect(r.id).toBeLessThan(V);
  }
});
