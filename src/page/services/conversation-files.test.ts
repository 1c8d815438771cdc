import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { stubPage } from './page-testing.ts';

vi.mock('../state/database.ts', () => import('../state/database-testing.ts'));
stubPage();
const local = new Map<string, string>();
vi.stubGlobal('localStorage', {
  getItem: (key: string) => local.get(key) ?? null,
  setItem: (key: string, value: string) => void local.set(key, value),
});
const persist = vi.fn(async () => true);
vi.stubGlobal('navigator', {
  storage: { persist, persisted: async () => false, estimate: async () => ({ usage: 1, quota: 2 }) },
});

const { toJson } = await import('../state/conversation-transfer.ts');
const { addTurn, createConversation } = await import('../state/conversation-tree.ts');
const { conversations } = await import('../state/conversations.ts');
const { problem } = await import('../state/notices.ts');
const { DEFAULT_SETTINGS } = await import('../state/settings.ts');
const { importConversations } = await import('./conversation-files.ts');

afterEach(() => void vi.useRealTimers());

beforeEach(() => {
  persist.mockClear();
  local.clear();
});

it('asks the browser to keep the data when conversations are imported, once', async () => {
  const turn = { id: 'q', parent: null, by: 'user', text: 'Hello', at: 1 } as const;
  const conversation = createConversation({ id: 'a', kind: 'chat', generation: DEFAULT_SETTINGS.chatGeneration }, 1);
  const file = new File([toJson([addTurn(conversation, turn)])], 'chats.json');
  await importConversations([file]);
  expect(conversations.value).toHaveLength(1);
  await vi.waitFor(() => expect(persist).toHaveBeenCalledTimes(1));
  await importConversations([file]);
  expect(conversations.value).toHaveLength(2);
  await new Promise((resolve) => setTimeout(resolve));
  expect(persist).toHaveBeenCalledTimes(1);
});

it('does not wait without end for a file whose disk never answers, and imports the others', async () => {
  vi.useFakeTimers();
  const turn = { id: 'q', parent: null, by: 'user', text: 'Grüße 😀', at: 1 } as const;
  const conversation = createConversation({ id: 'a', kind: 'chat', generation: DEFAULT_SETTINGS.chatGeneration }, 1);
  const good = new File([toJson([addTurn(conversation, turn)])], 'good.json');
  const silent = new File(['x'], 'silent.json');
  silent.slice = () => ({ arrayBuffer: () => new Promise(() => {}) }) as unknown as Blob;
  const before = conversations.value.length;
  const done = vi.fn();
  void importConversations([silent, good]).then(done);
  await vi.advanceTimersByTimeAsync(59_000);
  expect(done).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(1000);
  expect(done).toHaveBeenCalled();
  expect(problem.value).toMatchObject({
    code: 'source-unreachable',
    message: '"silent.json" could not be read, because its disk has not answered for 60 s.',
  });
  expect(conversations.value).toHaveLength(before + 1);
  expect(conversations.value.some(({ turns }) => turns[0].text === 'Grüße 😀')).toBe(true);
});

it('does not ask for a file without conversations', async () => {
  await importConversations([new File(['nonsense'], 'chats.json')]);
  expect(problem.value?.code).toBe('bad-request');
  await new Promise((resolve) => setTimeout(resolve));
  expect(persist).not.toHaveBeenCalled();
});
