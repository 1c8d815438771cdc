/** A model whose weights are not numbers gives an error instead of random words, on both backends. */
import { describe, expect, it } from 'vitest';
import type { GenerateEvent } from '../../src/contract/engine-api.ts';
import { EMBEDDING_KEY, isExpertKey } from '../format/manifest.ts';
import { readWhenStored } from '../store/record-requests.ts';
import { SYNTH_PRESETS } from '../synth/presets.ts';
import { type SynthOptions, uniformTypes } from '../synth/synth.ts';
import { engineWith, GpuEngine } from './testing.ts';

/** Its experts have no scales, so that 0xff in every byte is NaN in every weight. */
const OPTIONS: SynthOptions = { ...SYNTH_PRESETS.tiny, types: uniformTypes('F32'), name: 'Numbers' };

describe.each(['gpu', 'cpu'] as const)('NaN weights on the %s', (compute) => {
  it.each([0, 1])('are an error at temperature %d, and a later answer does not build on them', async (temperature) => {
    const { store, modelId } = await engineWith(OPTIONS);
    let damaged = true;
    const engine = new GpuEngine(store, {
      reader: {
        read: async (id, record, signal, form) => {
          const { parts, ...rest } = await readWhenStored(store, id, record, signal, form);
          const isBad = damaged && isExpertKey(record.key);
          return { ...rest, parts: isBad ? parts.map((part) => part.slice().fill(0xff)) : parts };
        },
      },
    });
    const request = {
      input: { kind: 'text' as const, text: 'the first men of that day' },
      maxTokens: 8,
      sampling: { temperature, seed: 1 },
      ignoreEos: true,
    };
    const emitted: GenerateEvent[] = [];
    const load = () => engine.load({ modelId, compute, threads: 2 }, () => {});
    await load();
    for (let attempt = 0; attempt < 2; attempt++) {
      await expect(
        engine.generate(request, (event) => event.type === 'token' && emitted.push(event)),
      ).rejects.toMatchObject({ code: 'not-finite' });
    }
    expect(emitted).toEqual([]);
    expect(await engine.saveSession('session', 1e9)).toBe(0);
    await expect(
      engine.score({ input: { kind: 'text', text: 'the first men' }, context: 64 }, () => {}),
    ).rejects.toMatchObject({ code: 'not-finite' });
    damaged = false;
    await load();
    expect((await engine.generate(request, () => {})).tokens).toHaveLength(8);
    await engine.unload();
  });
});

describe('a number of the first prompt token that is too large', () => {
  const BOS = 1;
  /** The squares of the second one are infinite as f32, so that the norm of its row would be zero. */
  it.each([
    ['gpu', Number.POSITIVE_INFINITY],
    ['gpu', 1e30],
    ['cpu', Number.POSITIVE_INFINITY],
  ] as const)('is an error on the %s: %d', async (compute, value) => {
    const { store, modelId } = await engineWith(OPTIONS);
    const engine = new GpuEngine(store, {
      reader: {
        read: async (id, record, signal, form) => {
          const { parts, ...rest } = await readWhenStored(store, id, record, signal, form);
          if (record.key !== EMBEDDING_KEY) return { ...rest, parts };
          const width = OPTIONS.embeddingLength;
          const changed = new Float32Array(parts[0].slice().buffer);
          changed.fill(value, BOS * width, (BOS + 1) * width);
          return { ...rest, parts: [new Uint8Array(changed.buffer), ...parts.slice(1)] };
        },
      },
    });
    await engine.load({ modelId, compute, threads: 2 }, () => {});
    const request = {
      input: { kind: 'text' as const, text: 'the first men' },
      maxTokens: 2,
      sampling: { temperature: 0 },
    };
    await expect(engine.generate(request, () => {})).rejects.toMatchObject({ code: 'not-finite' });
    await engine.unload();
  });
});
