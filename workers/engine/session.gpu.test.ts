/**
 * Sessions: a restored KV cache gives the same answers with less work, and a session that does not fit is never used.
 */
import { afterAll, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import type { GenerateEvent } from '../../src/contract/engine-api.ts';
import { MixtabError } from '../../src/contract/errors.ts';
import { ImportService } from '../import/import-service.ts';
import { MemoryStore } from '../store/memory-store.ts';
import { SessionStore } from '../store/session-store.ts';
import { SYNTH_PRESETS } from '../synth/presets.ts';
import { ComputeLoader } from './compute-loader.ts';
import type { Engine } from './engine.ts';
import { engineWith, GpuEngine } from './testing.ts';

const OPTIONS = { ...SYNTH_PRESETS.tiny, contextLength: 1200 };
const LONG = 'the first men of that day had been there before us and '.repeat(12);
const BUDGET = 1e9;
const DATABASE = 'mixtab-sessions-test';
const sessions = new SessionStore(DATABASE);
let store: MemoryStore;
let modelId: string;
let engine: Engine;

/** As after a reload of the page: another engine. */
async function reload(context?: number, loader?: ComputeLoader): Promise<void> {
  await engine?.unload();
  engine = new GpuEngine(store, { sessions: new SessionStore(DATABASE), loader });
  await engine.load({ modelId, ...(context && { context }) }, () => {});
}

async function answer(text: string) {
  let prefilled = 0;
  const onEvent = (event: GenerateEvent): void => {
    if (event.type === 'prefill') prefilled = event.tokensTotal;
  };
  const { tokens, promptTokens, reusedTokens } = await engine.generate(
    { input: { kind: 'text', text }, maxTokens: 8, sampling: { temperature: 0 }, ignoreEos: true },
    onEvent,
  );
  return {
    tokens: tokens.map(({ id, logprob }) => ({ id, logprob })),
    prompt: promptTokens.length,
    prefilled,
    reusedTokens,
  };
}

beforeAll(async () => {
  ({ store, modelId } = await engineWith(OPTIONS));
});
beforeEach(async () => {
  for (const { id } of await sessions.list()) await sessions.remove(id);
  await reload();
});
afterAll(() => {
  indexedDB.deleteDatabase(DATABASE);
  return engine.unload();
});

it('a restored session gives the same answer to the bit, and only new tokens are computed', async () => {
  await answer(LONG);
  expect(await engine.saveSession('a', BUDGET)).toBeGreaterThan(0);
  const without = await answer(`${LONG} could`);
  await reload(undefined, new ComputeLoader()); // another device
  expect(await engine.restoreSession('a')).toBeGreaterThan(100);
  const restored = await answer(`${LONG} could`);
  expect(restored).toEqual(without);
  expect(restored.prefilled).toBeLessThan(10);
  expect(restored.reusedTokens).toBe(restored.prompt - restored.prefilled);
});

it.each(['damaged', 'missing', 'truncated'])(
  'a session with a %s part is removed, and everything is computed',
  async (how) => {
    const fresh = await answer(LONG);
    await engine.saveSession('a', BUDGET);
    const { generation } = (await sessions.header('a'))!;
    const bytes = new Uint8Array((await sessions.part('a', generation, 1))!);
    bytes[9] ^= 1;
    if (how === 'damaged') await sessions.putPart('a', generation, 1, new Blob([bytes]));
    else if (how === 'truncated') await sessions.putPart('a', generation, 1, new Blob([bytes.slice(4)]));
    else {
      const [header, first] = [await sessions.header('a'), await sessions.part('a', generation, 0)];
      await sessions.remove('a');
      await sessions.putPart('a', generation, 0, new Blob([first!]));
      await sessions.putHeader('a', header!);
    }
    await reload();
    expect(await engine.restoreSession('a')).toBe(0);
    expect(await sessions.list()).toEqual([]);
    const again = await answer(LONG);
    expect(again).toEqual(fresh);
    expect(again.prefilled).toBe(again.prompt);
    expect(again.reusedTokens).toBe(0);
  },
);

it.each([{ modelId: 'another' }, { weights: '00' }, { version: 0 }, { headDim: 2 }])(
  'a session of %j is removed',
  async (other) => {
    await answer('the first');
    await engine.saveSession('a', BUDGET);
    await sessions.putHeader('a', { ...(await sessions.header('a'))!, ...other });
    expect(await engine.restoreSession('a')).toBe(0);
    expect(await sessions.header('a')).toBeUndefined();
  },
);

it('a session of the other backend is not restored, and not removed', async () => {
  await answer('the first');
  await engine.saveSession('a', BUDGET);
  const header = (await sessions.header('a'))!;
  await sessions.putHeader('a', { ...header, compute: 'cpu' });
  expect(await engine.restoreSession('a')).toBe(0);
  await sessions.putHeader('a', header); // as if the model were loaded where the session was computed
  expect(await engine.restoreSession('a')).toBeGreaterThan(0);
});

it('a session that does not say what computed it is restored on the GPU', async () => {
  await answer('the first');
  await engine.saveSession('a', BUDGET);
  const { compute, ...older } = (await sessions.header('a'))!;
  expect(compute).toBe('gpu');
  await sessions.putHeader('a', older);
  expect(await engine.restoreSession('a')).toBeGreaterThan(0);
});

it('a session of an ablated answer is not reused for an exact one', async () => {
  const fresh = await answer(LONG);
  await engine.generate({ input: { kind: 'text', text: LONG }, maxTokens: 2, ablation: { expertsUsed: 1 } }, () => {});
  await engine.saveSession('a', BUDGET);
  await reload();
  expect(await engine.restoreSession('a')).toBeGreaterThan(0);
  expect(await answer(LONG)).toEqual(fresh);
});

it('a session longer than the context is removed', async () => {
  await answer(LONG);
  await engine.saveSession('a', BUDGET);
  await reload(50);
  expect(await engine.restoreSession('a')).toBe(0);
});

it('the oldest sessions are removed when the budget is exceeded; one larger than the budget is not saved', async () => {
  await answer('the first men');
  const bytes = await engine.saveSession('a', BUDGET);
  await engine.saveSession('b', BUDGET);
  await engine.saveSession('c', 2 * bytes);
  expect((await sessions.list()).map(({ id }) => id)).toEqual(['b', 'c']);
  expect(await engine.saveSession('d', bytes - 1)).toBe(0);
  expect((await sessions.list()).map(({ id }) => id)).toEqual(['b', 'c']);
});

it('parts left by a tab that was closed while saving are removed at the next save', async () => {
  await sessions.putPart('half/saved', 1, 3, new Blob(['left over']));
  await answer('the first');
  await engine.saveSession('a', BUDGET);
  expect(await sessions.part('half/saved', 1, 3)).toBeUndefined();
  expect(await engine.restoreSession('a')).toBeGreaterThan(0);
});

it('how much is computed after a restore does not depend on the length of the conversation', async () => {
  const computed: number[] = [];
  for (const history of [LONG.slice(0, 30), LONG.slice(0, 200), LONG]) {
    await answer(history);
    await engine.saveSession('a', BUDGET);
    await reload();
    await engine.restoreSession('a');
    computed.push((await answer(`${history} could`)).prefilled);
  }
  expect(new Set(computed)).toEqual(new Set([computed[0]]));
  expect(computed[0]).toBeLessThan(10);
});

it('a save that is stopped or finds a full disk keeps the older session; other calls wait for a save', async () => {
  await answer('the first');
  const saved = engine.saveSession('a', BUDGET);
  const stopped = expect(saved).rejects.toMatchObject({ code: 'aborted' });
  // Stop while parts are written, not before.
  const put = vi.spyOn(SessionStore.prototype, 'putPart').mockImplementation(async () => engine.stop());
  await stopped;
  put.mockRestore();
  expect(await sessions.list()).toEqual([]);
  // A failed save leaves an older session in place. The next successful one replaces it completely.
  await engine.saveSession('a', BUDGET);
  const before = await sessions.list();
  const full = vi.spyOn(SessionStore.prototype, 'putPart').mockRejectedValue(new MixtabError('storage-full', 'full'));
  await answer('the first men of');
  await expect(engine.saveSession('a', BUDGET)).rejects.toMatchObject({ code: 'storage-full' });
  full.mockRestore();
  expect(await sessions.list()).toEqual(before);
  expect(await engine.restoreSession('a')).toBeGreaterThan(0);
  await answer('the first');
  const { generation } = (await sessions.header('a'))!;
  const again = engine.saveSession('a', BUDGET);
  expect((await answer('the first men')).reusedTokens).toBeGreaterThan(0); // not "busy"
  expect(await again).toBeGreaterThan(0);
  expect(await sessions.part('a', generation, 0)).toBeUndefined();
  expect(await sessions.part('a', generation + 1, 0)).toBeDefined();
  expect(await engine.restoreSession('a')).toBeGreaterThan(0);
});

it('sessions are removed with their model, or one by one', async () => {
  await answer('the first men');
  for (const id of ['a', 'b', 'c']) await engine.saveSession(id, BUDGET);
  await sessions.putHeader('c', { ...(await sessions.header('c'))!, modelId: 'another' });
  const service = new ImportService(new MemoryStore(), { sessions });
  expect((await service.sessions()).map(({ id }) => id)).toEqual(['a', 'b', 'c']);
  await service.removeSessions(['a']);
  expect((await service.sessions()).map(({ id }) => id)).toEqual(['b', 'c']);
  await service.remove(modelId);
  expect((await service.sessions()).map(({ id }) => id)).toEqual(['c']);
  expect(await sessions.part('b', 1, 0)).toBeUndefined();
});
