/** Which bytes of a GGUF go into which record. */
import { describe, expect, it } from 'vitest';
import { SYNTH_PRESETS } from '../../synth/presets.ts';
import type { SynthOptions } from '../../synth/synth.ts';
import { isPartOf, OUTPUT_KEY } from '../manifest.ts';
import { readConfig } from './config.ts';
import type { GgufHeader } from './header.ts';
import { planImport } from './plan.ts';
import { codeOf, headerOf, TINY } from './testing.ts';

describe('planImport', () => {
  const plan = async (options: SynthOptions) => {
    const header = await headerOf(options);
    return { header, plan: planImport('x.gguf', header, readConfig('x.gguf', header.metadata)) };
  };

  it.each(['merged', 'per-expert', 'fused'] as const)(
    '%s: covers every byte of every tensor exactly once',
    async (layout) => {
      const { header, plan: planned } = await plan({ ...TINY, layout });
      expect(planned.layout).toBe(layout);
      const ranges = planned.records.flatMap(({ tensors }) => tensors).sort((a, b) => a.offset - b.offset);
      for (const tensor of header.tensors) {
        let at = tensor.offset;
        for (const range of ranges.filter(({ source }) => source === tensor.name)) {
          expect(range.offset).toBe(at);
          at += range.bytes;
        }
        const next = Math.min(
          header.fileBytes,
          ...header.tensors.map(({ offset }) => offset).filter((offset) => offset > tensor.offset),
        );
        expect(next - at).toBeGreaterThanOrEqual(0);
        expect(next - at).toBeLessThan(32);
      }
      expect(planned.records).toHaveLength(1 + 2 * (1 + 8) + 1);
    },
  );

  it('plans the same records for all layouts', async () => {
    const shapes = async (layout: SynthOptions['layout']) =>
      (await plan({ ...TINY, layout })).plan.records.map(({ key, bytes, tensors }) => [
        key,
        bytes,
        tensors.map(({ layout }) => layout),
      ]);
    expect(await shapes('per-expert')).toEqual(await shapes('merged'));
    expect(await shapes('fused')).toEqual(await shapes('merged'));
  });

  it('cuts a matrix that is too large for a binding at rows whose outputs can be bound', async () => {
    const header = await headerOf(TINY);
    const config = readConfig('x.gguf', header.metadata);
    const whole = planImport('x.gguf', header, config);
    // The output is 512 x 256 in Q6_K, 210 bytes per row. 20,000 bytes hold 95 rows, so each part has 64.
    const { records } = planImport('x.gguf', header, config, 20_000);
    const parts = records.filter(({ key }) => isPartOf(key, OUTPUT_KEY));
    expect(parts.map(({ key }) => key)).toEqual(['output', ...Array.from({ length: 7 }, (_, n) => `output.${n + 1}`)]);
    expect(parts[0].tensors.map(({ layout }) => layout.name)).toEqual(['output_norm', 'output']);
    const matrices = parts.map(({ tensors }) => tensors.at(-1)!);
    expect(matrices.map(({ layout }) => layout.rows)).toEqual(new Array(8).fill(64));
    expect(Math.max(...matrices.map(({ layout }) => layout.bytes))).toBeLessThanOrEqual(20_000);
    const [start] = whole.records.at(-1)!.tensors.slice(-1);
    expect(matrices.map(({ offset }) => offset - start.offset)).toEqual(matrices.map((_, n) => n * 64 * 210));
    expect(planImport('x.gguf', header, config, 20_000).bytesPerToken).toBe(whole.bytesPerToken);
  });

  it('counts an output that is the embedding among the bytes of a token, but not among the weights', async () => {
    const header = await headerOf(TINY);
    const config = readConfig('x.gguf', header.metadata);
    const without = { ...header, tensors: header.tensors.filter(({ name }) => name !== 'output.weight') };
    const [own, tied] = [header, without].map((file) => planImport('x.gguf', file, config));
    const bytesOf = (name: string) =>
      own.records.flatMap(({ tensors }) => tensors).find(({ source }) => source === name)!.bytes;
    const difference = bytesOf('token_embd.weight') - bytesOf('output.weight');
    expect(tied.bytesPerToken).toBe(own.bytesPerToken + difference);
    expect(own.parameterCount - tied.parameterCount).toBe(512 * 256);
  });

  it('fits 8x22B with a vocabulary of 131,072 in F16 into bindings of the default size', async () => {
    const options: SynthOptions = {
      ...SYNTH_PRESETS['8x22b'],
      vocabularySize: 131_072,
      types: { ...SYNTH_PRESETS['8x22b'].types, embedding: 'F16', output: 'F16' },
    };
    const { plan: planned } = await plan(options);
    const largest = Math.max(...planned.records.flatMap(({ tensors }) => tensors.map(({ layout }) => layout.bytes)));
    expect(largest).toBeLessThanOrEqual(128 * 2 ** 20);
    expect(planned.parameterCount / 1e9).toBeCloseTo(141.8, 1);
    expect(planned.activeParameterCount / 1e9).toBeCloseTo(40.4, 1);
  });

  it('counts all parameters and those that a token uses', async () => {
    const { plan: planned } = await plan(TINY);
    const expert = 3 * 256 * 256;
    const dense = 2 * (512 * 256) + 256 + 2 * (2 * 256 + 256 * 256 * 2 + 2 * 128 * 256 + 8 * 256);
    expect(planned.parameterCount).toBe(dense + 2 * 8 * expert);
    expect(planned.activeParameterCount).toBe(dense + 2 * 2 * expert);
    expect(Object.values(planned.typeShares).reduce((a, b) => a + b)).toBeCloseTo(1, 12);
  });

  it('uses the embedding if there is no output matrix', async () => {
    const header = await headerOf(TINY);
    const tied = { ...header, tensors: header.tensors.filter(({ name }) => name !== 'output.weight') };
    const { records } = planImport('x.gguf', tied, readConfig('x.gguf', header.metadata));
    expect(records.at(-1)?.tensors.map(({ source }) => source)).toEqual(['output_norm.weight', 'token_embd.weight']);
  });

  it.each([
    [
      'a missing tensor',
      (h: GgufHeader) => h.tensors.filter(({ name }) => name !== 'blk.1.attn_k.weight'),
      'gguf-missing-tensor',
      /blk\.1\.attn_k\.weight/,
    ],
    [
      'an unknown tensor',
      (h: GgufHeader) => [...h.tensors, { ...h.tensors[0], name: 'blk.0.attn_q.bias' }],
      'gguf-unsupported-feature',
      /attn_q\.bias/,
    ],
    [
      'an unsupported type',
      (h: GgufHeader) => h.tensors.map((t) => (t.name === 'blk.0.ffn_up_exps.weight' ? { ...t, ggmlType: 34 } : t)),
      'gguf-unsupported-type',
      /ffn_up_exps\.weight has the type TQ1_0/,
    ],
    [
      'a wrong shape',
      (h: GgufHeader) => h.tensors.map((t) => (t.name === 'output.weight' ? { ...t, shape: [256, 511] } : t)),
      'gguf-damaged',
      /output\.weight/,
    ],
  ])('names %s', async (_what, change, code, message) => {
    const header = await headerOf(TINY);
    const config = readConfig('x.gguf', header.metadata);
    const work = () => planImport('x.gguf', { ...header, tensors: change(header) }, config);
    expect(await codeOf(work)).toBe(code);
    expect(work).toThrow(message);
  });
});
