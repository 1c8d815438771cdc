/** When sessions are saved and restored, with an engine that only notes what it is asked. */
import { beforeEach, expect, it, vi } from 'vitest';
import type { LoadedModel } from '../../contract/engine-api.ts';
import type { StoredSession } from '../../contract/import-api.ts';

const asked: string[] = [];
let kept: StoredSession[] = [];
/** While set, a save takes until it is called. */
let endSave: ((error?: Error) => void) | undefined;
let slow = false;

vi.mock('./workers.ts', () => ({
  engine: {
    async saveSession(id: string) {
      asked.push(`save ${id}`);
      if (slow)
        await new Promise<void>((resolve, reject) => (endSave = (error) => (error ? reject(error) : resolve())));
      kept = [...kept.filter((session) => session.id !== id), { id, modelId: 'm', bytes: 60e6 }];
      return 60e6;
    },
    async restoreSession(id: string) {
      asked.push(`restore ${id}`);
      return 10;
    },
    async stop() {
      asked.push('stop');
      endSave?.(aborted());
    },
  },
  importer: {
    sessions: async () => kept,
    async removeSessions(ids: string[]) {
      asked.push(`remove ${ids.join()}`);
      kept = kept.filter(({ id }) => !ids.includes(id));
    },
  },
}));
vi.mock('idb-keyval', () => ({
  createStore: () => ({}),
  get: async () => undefined,
  set: async () => {},
  del: async () => {},
  values: async () => [],
}));
vi.stubGlobal(
  'document',
  Object.assign(new EventTarget(), {
    visibilityState: 'visible',
    documentElement: { style: {} },
    baseURI: 'http://x/',
  }),
);
vi.stubGlobal('location', { hash: '' });
vi.stubGlobal('addEventListener', () => {});

const { aborted } = await import('../../contract/errors.ts');
const { conversations, currentId } = await import('../state/conversations.ts');
const { createConversation } = await import('../state/conversation-tree.ts');
const { defaultGeneration } = await import('../state/generation-settings.ts');
const { changeSettings } = await import('../state/settings.ts');
const { answered, leaveModel, prepareSession, startSessions } = await import('./sessions.ts');
const { runExperiment } = await import('./answers.ts');
const { experiment, loaded, sessions } = await import('../state/state.ts');

const conversation = (id: string) => createConversation({ id, kind: 'chat', generation: defaultGeneration('chat') }, 1);
const model = (id: string) => ({ summary: { id } }) as LoadedModel;

vi.useFakeTimers();
conversations.value = ['a', 'b', 'c'].map(conversation);
startSessions();

beforeEach(async () => {
  slow = false;
  loaded.value = undefined; // forgets whose the cache was
  currentId.value = undefined;
  changeSettings({ keepSessions: true, sessionBudgetMegabytes: 2000 });
  conversations.value = ['a', 'b', 'c'].map(conversation);
  kept = [];
  loaded.value = model('m');
  await vi.advanceTimersByTimeAsync(20_000);
  asked.length = 0;
});

it('is saved when nothing was written for a while, once, and not between the answers of a lively conversation', async () => {
  answered('a');
  await vi.advanceTimersByTimeAsync(8000);
  await prepareSession('a');
  answered('a');
  await vi.advanceTimersByTimeAsync(8000);
  expect(asked).toEqual([]);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked).toEqual(['save a']);
});

it('goes to the disk when another conversation is opened, which is restored; leafing through them touches none', async () => {
  kept = [
    { id: 'b', modelId: 'm', bytes: 1 },
    { id: 'c', modelId: 'other', bytes: 1 },
  ];
  answered('a');
  for (const id of ['b', 'c', 'a', 'b']) {
    currentId.value = id;
    await vi.advanceTimersByTimeAsync(100);
  }
  expect(asked).toEqual([]);
  await vi.advanceTimersByTimeAsync(1000);
  expect(asked).toEqual(['save a', 'restore b']);
  // Nothing new: not saved again. Another model's session is left alone.
  currentId.value = 'c';
  await vi.advanceTimersByTimeAsync(1000);
  expect(asked).toEqual(['save a', 'restore b']);
});

it('an answer does not wait for an idle save of its own conversation, but for that of another one', async () => {
  slow = true;
  answered('a');
  await vi.advanceTimersByTimeAsync(11_000);
  await prepareSession('a');
  expect(asked).toEqual(['save a', 'stop']);
  answered('a');
  const other = prepareSession('b');
  await vi.advanceTimersByTimeAsync(0);
  expect(asked).toEqual(['save a', 'stop', 'save a']);
  endSave?.();
  await other;
  expect(asked).not.toContain('restore b'); // nothing was kept of it
});

it('before the model leaves, and when the page is hidden', async () => {
  answered('a');
  await leaveModel();
  expect(asked).toEqual(['save a']);
  answered('a');
  Object.assign(document, { visibilityState: 'hidden' });
  document.dispatchEvent(new Event('visibilitychange'));
  await vi.advanceTimersByTimeAsync(1);
  Object.assign(document, { visibilityState: 'visible' });
  expect(asked).toEqual(['save a', 'save a']);
});

it('goes with its conversation; one that was deleted while it was written is not kept', async () => {
  kept = [{ id: 'b', modelId: 'm', bytes: 1 }];
  conversations.value = conversations.value.filter(({ id }) => id !== 'b');
  await vi.advanceTimersByTimeAsync(1);
  answered('b');
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked).toEqual(['remove b']);
});

it('a smaller budget lets the oldest go; switched off, all go and nothing is saved', async () => {
  kept = ['a', 'b', 'c'].map((id) => ({ id, modelId: 'm', bytes: 60e6 }));
  await prepareSession('x');
  changeSettings({ sessionBudgetMegabytes: 130 });
  await vi.advanceTimersByTimeAsync(1);
  expect(asked).toEqual(['remove a']);
  changeSettings({ keepSessions: false });
  await vi.advanceTimersByTimeAsync(1);
  expect(asked).toEqual(['remove a', 'remove b,c']);
  expect(sessions.value).toEqual([]);
  answered('a');
  await leaveModel();
  expect(asked).toHaveLength(2);
});

it('is saved before the experts’ view takes the cache, never meanwhile, and restored after; what comes late holds nobody up', async () => {
  currentId.value = 'a';
  answered('a');
  let late = (): void => {};
  const run = runExperiment('routing', async (onProgress) => {
    asked.push('read');
    late = () => onProgress(1, 2);
    await vi.advanceTimersByTimeAsync(20_000);
    Object.assign(document, { visibilityState: 'hidden' });
    document.dispatchEvent(new Event('visibilitychange'));
    await vi.advanceTimersByTimeAsync(1);
    Object.assign(document, { visibilityState: 'visible' });
  });
  await run;
  late();
  expect(experiment.value).toBeUndefined();
  await vi.advanceTimersByTimeAsync(1000);
  expect(asked).toEqual(['save a', 'read', 'restore a']);
});
