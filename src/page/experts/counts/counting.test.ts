import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { readHeader } from '../../../../workers/format/gguf/header.ts';
import { inspectHeader } from '../../../../workers/format/gguf/inspect.ts';
import { SYNTH_PRESETS } from '../../../../workers/synth/presets.ts';
import { createSynth } from '../../../../workers/synth/synth.ts';
import { choose, compareCosts, costTable, countModel, partTable, powerText } from './counting.ts';

/** Counts a model from the header of a file of its shape, without its weights. */
async function counted(preset: keyof typeof SYNTH_PRESETS) {
  const file = createSynth(SYNTH_PRESETS[preset]);
  const inspection = inspectHeader(
    'x',
    await readHeader({ name: 'x', size: file.size, read: async (...range) => file.read(range[0], range[1]) }),
  );
  return { ...inspection, counting: countModel(inspection.config, inspection.figures) };
}

it('gives the published figures of Mixtral 8x7B: 46.7 B stored, 12.9 B active', async () => {
  const { counting, figures, parameterCount, activeParameterCount } = await counted('8x7b');
  const billions = (count: number): string => (count / 1e9).toFixed(1);
  expect([billions(counting.stored), billions(counting.active)]).toEqual(['46.7', '12.9']);
  expect(counting.stored).toBe(parameterCount);
  expect(counting.active).toBe(activeParameterCount);
  // By hand, from width 4096, hidden width 14336, 8 of 32 heads for keys and values, 32000 tokens.
  const oneExpert = 3 * 4096 * 14336;
  const attention = 32 * 4096 * (4096 + 1024 + 1024 + 4096);
  const shared = attention + 32 * 8 * 4096 + 2 * 32000 * 4096 + (2 * 32 + 1) * 4096;
  expect(counting.oneExpert).toBe(oneExpert);
  expect(counting.shared).toBe(shared);
  expect(counting.single).toBe(shared + 32 * oneExpert);
  expect(billions(counting.single)).toBe('7.2'); // Mistral 7B, without the routers
  expect(billions(counting.named)).toBe('57.9');
  expect([counting.experts, counting.setsPerLayer]).toEqual([256, 28]);
  expect(counting.paths).toBe(28n ** 32n);
  expect(powerText(counting.paths)).toBe('2.04 × 10^46');
  const [mixture, active, total] = compareCosts(counting, figures);
  expect(mixture.operations).toBe(active.operations);
  expect(mixture.operations).toBe(2 * (shared - 32000 * 4096 + 64 * oneExpert));
  expect(total.memory).toBeCloseTo(mixture.memory, -1);
  expect(total.operations / mixture.operations).toBeCloseTo(3.65, 2);
  expect(partTable(counting).rows.at(-1)).toEqual(['All parts', counting.stored, counting.active]);
  expect(costTable([mixture]).rows[0].slice(0, 2)).toEqual(['This mixture', counting.stored]);
});

it('gives the published figures of Mixtral 8x22B: 141 B stored, 39 B active', async () => {
  const { counting } = await counted('8x22b');
  expect([Math.round(counting.stored / 1e9), Math.round(counting.active / 1e9)]).toEqual([141, 39]);
});

it('counts choices and writes huge numbers', () => {
  expect([choose(8, 2), choose(16, 4), choose(5, 1), choose(3, 3)]).toEqual([28, 1820, 5, 1]);
  expect([powerText(784n), powerText(481890304n), powerText(999999999n)]).toEqual([
    '784',
    '4.82 × 10^8',
    '1.00 × 10^9',
  ]);
});

it('counts the tensors of the built-in model as their shapes say', async () => {
  const bytes = readFileSync(new URL('../../../../public/models/builtin.gguf', import.meta.url));
  const read = async (start: number, end: number): Promise<Uint8Array<ArrayBuffer>> =>
    new Uint8Array(bytes.subarray(start, end));
  const header = await readHeader({ name: 'x', size: bytes.length, read });
  const { config, figures } = inspectHeader('x', header);
  const counting = countModel(config, figures);
  const sizes = header.tensors.map(({ name, shape }) => ({ name, count: shape.reduce((a, b) => a * b) }));
  const sum = (name: RegExp): number =>
    sizes.filter((tensor) => name.test(tensor.name)).reduce((all, { count }) => all + count, 0);
  expect(counting.stored).toBe(sum(/./));
  const stored = Object.fromEntries(counting.parts.map((part) => [part.part, part.stored]));
  expect(stored).toEqual({
    experts: sum(/ffn_(gate|up|down)(_exps)?\b(?!_inp)/),
    router: sum(/ffn_gate_inp/),
    attention: sum(/attn_(q|k|v|output)\./),
    norms: sum(/norm/),
    embedding: sum(/^token_embd/),
    output: sum(/^output\./),
  });
  const { layerCount, expertCount, expertsPerToken } = config;
  expect([layerCount, expertCount, expertsPerToken]).toEqual([6, 8, 2]);
  expect(counting.active).toBe(sum(/./) - (sum(/ffn_(gate|up|down)(_exps)?\b(?!_inp)/) * 6) / 8);
});
