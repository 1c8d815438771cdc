/** Tests the forward pass in float64 against a model computed by hand and against llama.cpp. */
import { describe, expect, it } from 'vitest';
import { dequantize } from '../format/quantization/dequantize.ts';
import { recordMatrix } from '../format/quantization/record-rows.ts';
import { ggufBytes, isPlainType, repackTensor } from '../format/quantization/repack.ts';
import { layoutTensor, WEIGHT_TYPES, type WeightTypeName } from '../format/weight-layout.ts';
import { importTiny } from '../import/testing.ts';
import { MemoryStore } from '../store/memory-store.ts';
import { type SynthOptions, uniformTypes } from '../synth/synth.ts';
import { ReferencePass } from './forward.ts';
import golden from './golden/llama-cpp.json' with { type: 'json' };
import { type ReferenceModel, readReferenceModel } from './model.ts';
import { HAND_MADE, HAND_MADE_LOGITS } from './testing.ts';

/** `log softmax`, written differently than in `sample.ts`. */
const logSoftmax = (logits: readonly number[]): number[] =>
  logits.map((x) => -Math.log(logits.reduce((sum, y) => sum + Math.exp(y - x), 0)));

const close = (actual: Float64Array, expected: readonly number[]): void => {
  expect(actual).toHaveLength(expected.length);
  for (const [i, x] of expected.entries()) expect(actual[i]).toBeCloseTo(x, 6);
};

describe('the forward pass', () => {
  it('gives what a model gives by hand', () => {
    const pass = new ReferencePass(HAND_MADE);
    close(pass.next(0), logSoftmax(HAND_MADE_LOGITS[0]));
    expect(pass.smallestRouterMargin).toBeCloseTo(3, 6);
    close(pass.next(1), logSoftmax(HAND_MADE_LOGITS[1]));
    expect(pass.smallestRouterMargin).toBeCloseTo(1 / Math.sqrt(3.125), 6);
  });

  it('selects the first of experts that tie', () => {
    const tied = withLayer({ router: new Float32Array(4) });
    const pass = new ReferencePass(tied);
    close(pass.add(0), [1, 3]); // as with expert 0
    expect(pass.smallestRouterMargin).toBe(0);
  });

  it('weights several experts by the softmax over them', () => {
    const both: ReferenceModel = { ...HAND_MADE, config: { ...HAND_MADE.config, expertsPerToken: 2 } };
    const pass = new ReferencePass(both);
    const weight = 1 / (1 + Math.exp(-3)); // of expert 0; expert 1 adds nothing
    close(pass.add(0), [2 - weight, 2 + weight]);
    expect(pass.smallestRouterMargin).toBe(Number.POSITIVE_INFINITY);
  });

  it('rounds keys and values to f16, unless an option says otherwise', () => {
    // 1 + 2^-12 is nearer to 1 than to the next f16, 1 + 2^-10.
    const x = 1 + 2 ** -12;
    const model = withLayer({ attnV: Float32Array.of(x, 0, 0, x), router: Float32Array.of(0, 0, 1, 1) });
    expect([...new ReferencePass(model).add(0)]).toEqual([2, 2]);
    expect([...new ReferencePass(model, { toCache: (value) => value }).add(0)]).toEqual([1 + x, 1 + x]);
    // Of the key of A, only the rounded part remains: the scores of B are 0 and ln 3 as in the model by hand.
    const keys = withLayer({ attnK: Float32Array.of(x, 0, 0, 0) });
    const pass = new ReferencePass(keys);
    pass.add(0);
    close(pass.add(1), [2, -1.5]);
  });
});

describe('a stored model', () => {
  const OPTIONS: SynthOptions = {
    layers: 3,
    embeddingLength: 64,
    feedForwardLength: 96,
    headCount: 4,
    kvHeadCount: 2,
    expertCount: 4,
    expertsPerToken: 2,
    vocabularySize: 400,
    contextLength: 256,
    layout: 'merged',
    types: uniformTypes('F32'),
    seed: 3,
  };

  it('has the log-probabilities of llama.cpp', async () => {
    const pass = new ReferencePass(await stored(OPTIONS), { toCache: (x) => x });
    for (const { token, next } of golden) {
      const logprobs = pass.next(token);
      // The largest difference is 9e-6: llama.cpp computes in f32.
      for (const { id, logprob } of next) expect(Math.abs(logprobs[id] - logprob)).toBeLessThan(3e-5);
    }
  });

  it('is the same if its vocabulary matrices are cut into several records', async () => {
    const [whole, cut] = [await stored(OPTIONS), await stored(OPTIONS, 20_000)];
    expect(cut.embedding).toEqual(whole.embedding);
    expect(cut.output).toEqual(whole.output);
  });

  it('has the same weights in all layouts', async () => {
    const [merged, fused, separate] = await Promise.all(
      (['merged', 'fused', 'per-expert'] as const).map((layout) => stored({ ...OPTIONS, layout })),
    );
    expect(fused.layers[2].expert(3)).toEqual(merged.layers[2].expert(3));
    expect(separate.layers[2].expert(3)).toEqual(merged.layers[2].expert(3));
    expect(merged.layers[2].expert(2)).not.toEqual(merged.layers[2].expert(3));
  });
});

describe('recordMatrix', () => {
  it.each(Object.keys(WEIGHT_TYPES) as WeightTypeName[])('reads the exact weights of %s', (name) => {
    const type = WEIGHT_TYPES[name];
    // A row of a plain type may have any length; the matrix is neither the first nor the last of its record.
    const [rows, cols] = [5, isPlainType(type) ? 37 : 512];
    const layout = layoutTensor('m', type, rows, cols, 256);
    const blocks = new Uint8Array(ggufBytes(type, rows, cols)).map((_, i) => (i * 73 + (i >> 5) * 29) % 120);
    const record = new Uint8Array(layout.offset + layout.bytes + 256).fill(0xff, layout.offset + layout.bytes);
    repackTensor(blocks, layout, record);
    expect(recordMatrix(record, layout)).toEqual(dequantize(name, blocks));
  });
});

const withLayer = (more: Partial<ReferenceModel['layers'][0]>): ReferenceModel => ({
  ...HAND_MADE,
  layers: [{ ...HAND_MADE.layers[0], ...more }],
});

async function stored(options: SynthOptions, maxMatrixBytes?: number): Promise<ReferenceModel> {
  const store = new MemoryStore();
  const manifest = await importTiny(store, options, { maxMatrixBytes });
  return readReferenceModel((await store.getManifest(manifest.id))!, (record) => store.readRecord(manifest.id, record));
}
