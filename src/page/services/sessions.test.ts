/** When sessions are saved and restored. The engine is a stand-in that records its calls. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { LoadedModel } from '../../contract/engine-api.ts';
import { aborted, MixtabError } from '../../contract/errors.ts';
import type { StoredSession } from '../../contract/import-api.ts';
import { stubPage } from './page-testing.ts';

vi.mock('../state/database.ts', () => import('../state/database-testing.ts'));
stubPage();

const { conversations, currentId } = await import('../state/conversations.ts');
const { createConversation } = await import('../state/conversation-tree.ts');
const { storedSessions } = await import('../state/disk.ts');
const { experiment } = await import('../state/generation.ts');
const { defaultGeneration } = await import('../state/generation-settings.ts');
const { loaded } = await import('../state/models.ts');
const { problem } = await import('../state/notices.ts');
const { changeSettings } = await import('../state/settings.ts');
const { EngineRuns } = await import('./engine-runs.ts');
const { Experiments } = await import('./experiments.ts');
const { Sessions } = await import('./sessions.ts');

/** Calls of the workers, in order. */
let calls: string[] = [];
/** What the store holds. */
let stored: StoredSession[] = [];
/** If set, a save lasts until `endSave` is called. */
let savesAreSlow = false;
/** Whether the model is being imported, so that nothing can be saved. */
let isImporting = false;
let endSave: ((error?: Error) => void) | undefined;

const engine = {
  async saveSession(id: string) {
    calls.push(`save ${id}`);
    if (isImporting) return 0;
    if (savesAreSlow)
      await new Promise<void>((resolve, reject) => (endSave = (error) => (error ? reject(error) : resolve())));
    stored = [...stored.filter((session) => session.id !== id), { id, modelId: 'm', bytes: 60e6 }];
    return 60e6;
  },
  async restoreSession(id: string) {
    calls.push(`restore ${id}`);
    return 10;
  },
  async stop() {
    calls.push('stop');
    endSave?.(aborted());
  },
};
const importer = {
  sessions: async () => stored,
  async removeSessions(ids: readonly string[]) {
    calls.push(`remove ${ids.join()}`);
    stored = stored.filter(({ id }) => !ids.includes(id));
  },
};

const conversation = (id: string) => createConversation({ id, kind: 'chat', generation: defaultGeneration('chat') }, 1);
const model = (id: string) => ({ summary: { id } }) as LoadedModel;

function setVisibility(visibilityState: 'hidden' | 'visible'): void {
  Object.assign(document, { visibilityState });
  document.dispatchEvent(new Event('visibilitychange'));
}

let sessions: InstanceType<typeof Sessions>;
let end: () => void;

vi.useFakeTimers();

beforeEach(async () => {
  savesAreSlow = false;
  isImporting = false;
  stored = [];
  calls = [];
  currentId.value = undefined;
  changeSettings({ keepSessions: true, sessionBudgetMegabytes: 2000 });
  conversations.value = ['a', 'b', 'c'].map(conversation);
  loaded.value = model('m');
  sessions = new Sessions({ engine, importer });
  end = sessions.start();
  await vi.advanceTimersByTimeAsync(1);
});

afterEach(() => end());

it('saves once after a pause, and not between quick successive answers', async () => {
  sessions.answered('a');
  await vi.advanceTimersByTimeAsync(8000);
  await sessions.prepare('a');
  sessions.answered('a');
  await vi.advanceTimersByTimeAsync(8000);
  expect(calls).toEqual([]);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(calls).toEqual(['save a']);
});

it('saves later what could not be saved while the model was imported', async () => {
  isImporting = true;
  sessions.answered('a');
  await vi.advanceTimersByTimeAsync(60_000);
  expect(calls).toEqual(['save a']);
  isImporting = false;
  for (const _time of [1, 2]) {
    setVisibility('hidden');
    setVisibility('visible');
    await vi.advanceTimersByTimeAsync(1);
  }
  expect(calls).toEqual(['save a', 'save a']);
  expect(stored.map(({ id }) => id)).toEqual(['a']);
});

it('reports a full disk once, but not in place of another error', async () => {
  problem.value = undefined;
  savesAreSlow = true;
  const full = new MixtabError('storage-full', 'The disk is full.', 'Free some.');
  const failToSave = async (): Promise<void> => {
    endSave = undefined;
    sessions.answered('a');
    await vi.advanceTimersByTimeAsync(11_000);
    endSave!(full);
    await vi.advanceTimersByTimeAsync(1);
  };
  const ofImport = { code: 'storage-full', message: 'The import ended.', remedy: '' } as const;
  problem.value = ofImport;
  await failToSave();
  expect(problem.value).toBe(ofImport);
  problem.value = undefined;
  changeSettings({ sessionBudgetMegabytes: 1000 });
  await failToSave();
  expect(problem.peek()?.message).toContain('the conversation cache was not saved');
  problem.value = undefined;
  await failToSave();
  expect(problem.value).toBeUndefined();
});

it('saves when another conversation is opened, and restores that one, but not those opened briefly', async () => {
  stored = [
    { id: 'b', modelId: 'm', bytes: 1 },
    { id: 'c', modelId: 'other', bytes: 1 },
  ];
  sessions.answered('a');
  for (const id of ['b', 'c', 'a', 'b']) {
    currentId.value = id;
    await vi.advanceTimersByTimeAsync(100);
  }
  expect(calls).toEqual([]);
  await vi.advanceTimersByTimeAsync(1000);
  expect(calls).toEqual(['save a', 'restore b']);
  // Nothing is new in b, so it is not saved. The session of c belongs to another model, so it is not restored.
  currentId.value = 'c';
  await vi.advanceTimersByTimeAsync(1000);
  expect(calls).toEqual(['save a', 'restore b']);
});

it('lets an answer stop an idle save of its own conversation, but wait for that of another one', async () => {
  savesAreSlow = true;
  sessions.answered('a');
  await vi.advanceTimersByTimeAsync(11_000);
  await sessions.prepare('a');
  expect(calls).toEqual(['save a', 'stop']);
  sessions.answered('a');
  const other = sessions.prepare('b');
  await vi.advanceTimersByTimeAsync(0);
  expect(calls).toEqual(['save a', 'stop', 'save a']);
  endSave?.();
  await other;
  expect(calls).not.toContain('restore b'); // b has no stored session
});

it('saves before the model is unloaded, and when the page is hidden', async () => {
  sessions.answered('a');
  await sessions.save();
  expect(calls).toEqual(['save a']);
  sessions.answered('a');
  setVisibility('hidden');
  await vi.advanceTimersByTimeAsync(1);
  setVisibility('visible');
  expect(calls).toEqual(['save a', 'save a']);
});

it('removes the session of a deleted conversation, and saves none that was deleted during its answer', async () => {
  stored = [{ id: 'b', modelId: 'm', bytes: 1 }];
  conversations.value = conversations.value.filter(({ id }) => id !== 'b');
  await vi.advanceTimersByTimeAsync(1);
  sessions.answered('b');
  await vi.advanceTimersByTimeAsync(60_000);
  expect(calls).toEqual(['remove b']);
});

it('removes the oldest for a smaller budget; if switched off, removes all and saves nothing', async () => {
  stored = ['a', 'b', 'c'].map((id) => ({ id, modelId: 'm', bytes: 60e6 }));
  await sessions.prepare('x');
  changeSettings({ sessionBudgetMegabytes: 130 });
  await vi.advanceTimersByTimeAsync(1);
  expect(calls).toEqual(['remove a']);
  changeSettings({ keepSessions: false });
  await vi.advanceTimersByTimeAsync(1);
  expect(calls).toEqual(['remove a', 'remove b,c']);
  expect(storedSessions.value).toEqual([]);
  sessions.answered('a');
  await sessions.save();
  expect(calls).toHaveLength(2);
});

it('saves before an experiment and restores after it, and ignores progress that arrives late', async () => {
  const experiments = new Experiments({
    runs: new EngineRuns(engine),
    sessions,
    loader: { recover: async () => false },
  });
  currentId.value = 'a';
  sessions.answered('a');
  let reportLate = (): void => {};
  await experiments.run('routing', async (onProgress) => {
    calls.push('read');
    reportLate = () => onProgress(1, 2);
    await vi.advanceTimersByTimeAsync(20_000);
    setVisibility('hidden');
    await vi.advanceTimersByTimeAsync(1);
    setVisibility('visible');
  });
  reportLate();
  expect(experiment.value).toBeUndefined();
  await vi.advanceTimersByTimeAsync(1000);
  expect(calls).toEqual(['save a', 'read', 'restore a']);
});

it('says nothing if the device is lost while nothing is computed, and an experiment loads the model again', async () => {
  currentId.value = 'a';
  savesAreSlow = true;
  sessions.answered('a');
  await vi.advanceTimersByTimeAsync(11_000);
  const lost = Object.assign(new MixtabError('webgpu-device-lost', 'It is gone.'), { modelLost: true });
  endSave?.(lost);
  await vi.advanceTimersByTimeAsync(10);
  expect([problem.value, loaded.value?.summary.id]).toEqual([undefined, 'm']);
  savesAreSlow = false;
  const outcomes = [new MixtabError('no-model-loaded', 'No model is loaded.'), undefined];
  let recoveries = 0;
  const recover = async () => ++recoveries > 0;
  const experiments = new Experiments({ runs: new EngineRuns(engine), sessions, loader: { recover } });
  await experiments.run('routing', async () => {
    const error = outcomes.shift();
    if (error) throw error;
  });
  expect([outcomes, recoveries, problem.value]).toEqual([[], 1, undefined]);
});
