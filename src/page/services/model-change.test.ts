/**
 * What the experts view computes while another model is loaded, the model is unloaded, or its device is lost. The
 * services are real, the engine is a stand-in whose calls end when the test says so.
 */
import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { LoadedModel } from '../../contract/engine-api.ts';
import { aborted, MixtabError } from '../../contract/errors.ts';

vi.mock('../state/database.ts', () => import('../state/database-testing.ts'));
vi.stubGlobal('document', { documentElement: { style: {} } });
vi.stubGlobal('location', { hash: '', href: 'https://mixtab.test/' });
vi.stubGlobal('history', { pushState() {}, replaceState() {} });
vi.stubGlobal('addEventListener', () => {});

/** One call that computes. */
interface Call {
  name: string;
  onProgress: (done: number, total: number) => void;
  resolve: (result: unknown) => void;
  reject: (error: Error) => void;
}
const pending: Call[] = [];
/** All calls of the engine, in order. */
const calls: string[] = [];
let absent = false;
const compute = (name: string) => (_request: unknown, onProgress: Call['onProgress']) =>
  new Promise((resolve, reject) => {
    calls.push(name);
    pending.push({ name, onProgress, resolve, reject });
  });
const engine = {
  score: compute('score'),
  observe: compute('observe'),
  generate: compute('generate'),
  async stop() {
    for (const { reject } of pending.splice(0)) reject(aborted());
  },
  async load({ modelId }: { modelId: string }) {
    calls.push(`load ${modelId}`);
    if (absent) throw new MixtabError('webgpu-no-adapter', 'No adapter.', 'Wait.');
    const summary = { id: modelId, name: 'same name', config: {}, hasChatTemplate: false };
    return { summary, compute: { kind: 'gpu' }, context: 512 } as unknown as LoadedModel;
  },
  unload: async () => {},
  probe: async () => ({ automatic: 'gpu' }),
};
vi.mock('./workers.ts', () => ({ engine }));
const services: Record<string, unknown> = {};
vi.mock('./services.ts', () => ({ services }));

const { EngineRuns } = await import('./engine-runs.ts');
const { Experiments } = await import('./experiments.ts');
const { ModelLoader } = await import('./model-loader.ts');
const { measureCurve, readTexts } = await import('./paper.ts');
const { read } = await import('./text-routing.ts');
const { canFollow, followToken } = await import('./token-observation.ts');
const { runLaboratory, scoresKey, wordsKey } = await import('./laboratory.ts');
const { experiment } = await import('../state/generation.ts');
const { PRESETS } = await import('../state/generation-settings.ts');
const { labScores, labStep, labWords } = await import('../state/laboratory.ts');
const { lastLoaded, loaded, probed } = await import('../state/models.ts');
const { problem } = await import('../state/notices.ts');
const { comparison, curve } = await import('../state/paper.ts');
const { choices } = await import('../state/route.ts');
const { reading } = await import('../state/text-routing.ts');
const { observations } = await import('../state/token-observation.ts');

const runs = new EngineRuns(engine as never);
const loader = new ModelLoader({
  engine: engine as never,
  restartEngine: () => {},
  runs,
  sessions: { save: async () => {} },
  tabs: { claim: async () => true },
  wait: async () => {},
});
services.runs = runs;
services.experiments = new Experiments({ runs, loader, sessions: { releaseCache: async () => {} } });

const TRACE = { pieces: ['a', 'b'], selectedExperts: Uint8Array.of(0, 1) };
const RESULTS: Record<string, object> = {
  score: { tokens: 2, nll: 1, perplexity: 2, blocks: [], routing: [], paths: 1, trace: TRACE },
  observe: { layers: [] },
  generate: { text: ' word' },
};
const NAMED = { name: 'x', text: 'a b' };
const TASK = { text: NAMED, textTokens: 2, prompt: 'p', preset: PRESETS[0], seed: 1, maxTokens: 3 };
const CHANGE = { experiment: 'first', key: 'one', name: 'First', ablation: { expertsUsed: 1 } } as const;

/**
 * What the view can start, how many calls of the engine each makes, and the result that it has set in the end.
 */
const RUNS: [name: string, calls: number, start: () => Promise<void>, result: () => unknown, expected: unknown][] = [
  [
    'reading a text',
    1,
    () => read({ kind: 'text', text: 'a b' }),
    () => reading.value!.input,
    { kind: 'text', text: 'a b' },
  ],
  ['following a token', 1, () => followToken(1), () => [...(observations.value?.byToken.keys() ?? [])], [1]],
  [
    'the curve',
    2,
    () => measureCurve(NAMED, [16, 32], 2),
    () => curve.value?.points.map(({ context }) => context),
    [16, 32],
  ],
  ['the comparison of texts', 2, () => readTexts([NAMED, NAMED], 4), () => comparison.value?.texts.length, 2],
  [
    'the laboratory',
    4,
    () => runLaboratory(TASK, [CHANGE]),
    () => [labScores.value?.rows.length, labWords.value?.rows.map(({ words, done }) => [words, done])],
    [
      2,
      [
        [' word', true],
        [' word', true],
      ],
    ],
  ],
];

/** Waits until something holds. */
const until = (holds: () => void): Promise<void> => vi.waitFor(holds, { interval: 1 });

/** Waits for a call, and takes it out of the list of those that are pending. */
async function nextCall(): Promise<Call> {
  await until(() => expect(pending.length).toBe(1));
  return pending.shift()!;
}
const finish = (call: Call): void => call.resolve(RESULTS[call.name]);

beforeEach(async () => {
  absent = false;
  pending.length = 0;
  problem.value = probed.value = lastLoaded.value = undefined;
  reading.value = curve.value = comparison.value = labScores.value = labWords.value = observations.value = undefined;
  choices.value = {};
  await loader.load({ id: 'a', name: 'same name' });
  const started = read({ kind: 'text', text: 'read before' }); // what a token is followed in
  finish(await nextCall());
  await started;
  calls.length = 0;
});

describe.each(RUNS)('%s', (_, count, start, result, expected) => {
  it.each([
    ['another model is loaded', () => loader.load({ id: 'b', name: 'same name' }), 'b'],
    ['the model is unloaded', () => loader.unload(), undefined],
  ])('ends when %s, without an error and without results of both models', async (_change, change, then) => {
    const started = start();
    for (let done = 0; done < count - 1; done++) finish(await nextCall());
    await until(() => expect(pending.length).toBe(1));
    const [{ onProgress }] = pending;
    const before = calls.length;
    await Promise.all([change(), started]);
    expect([loaded.value?.summary.id, experiment.value, problem.value]).toEqual([then, undefined, undefined]);
    expect(calls.slice(before)).toEqual(then ? [`load ${then}`] : []);
    onProgress(1, 2); // messages of the worker that arrive late
    expect([experiment.value, labStep.value]).toEqual([undefined, '']);
    // What is shown belongs to the model that computed it, and says so.
    expect([reading.value!.modelId, reading.value!.input]).toEqual(['a', { kind: 'text', text: 'read before' }]);
    expect([canFollow(), observations.value, comparison.value]).toEqual([false, undefined, undefined]);
    if (curve.value) expect([curve.value.modelId, curve.value.points.length]).toEqual(['a', 1]);
    expect(labScores.value?.key).not.toBe(scoresKey(TASK));
    expect(labWords.value?.key).not.toBe(wordsKey(TASK));
  });

  it('begins again if the device is lost and comes back', async () => {
    const started = start();
    (await nextCall()).reject(new MixtabError('webgpu-device-lost', 'Lost.', 'Load the model again.'));
    for (let done = 0; done < count; done++) finish(await nextCall());
    await started;
    expect([loaded.value?.summary.id, experiment.value, problem.value]).toEqual(['a', undefined, undefined]);
    expect(calls.filter((name) => name.startsWith('load'))).toEqual(['load a']);
    expect(calls).toHaveLength(1 + 1 + count);
    expect(reading.value!.modelId).toBe('a');
    expect(result()).toEqual(expected);
  });

  it('says what happened if the device does not come back', async () => {
    absent = true;
    const started = start();
    (await nextCall()).reject(new MixtabError('webgpu-device-lost', 'Lost.', 'Load the model again.'));
    await started;
    expect([loaded.value, experiment.value, labStep.value]).toEqual([undefined, undefined, '']);
    expect(problem.value).toMatchObject({ code: 'webgpu-device-lost', remedy: 'Load the model again.' });
  });
});
