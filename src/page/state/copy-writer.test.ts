/** When conversations are copied. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { readCopies } from './conversation-copies.ts';
import { addTurn, type Conversation, changeTurn, createConversation } from './conversation-tree.ts';
import { CopyWriter } from './copy-writer.ts';
import { generationFrom } from './generation-settings.ts';
import { FakeStorage } from './web-storage-testing.ts';

let storage: FakeStorage;
let writer: CopyWriter;
let memory: Map<string, Conversation>;
let streamingId: string | undefined;
let paused: boolean;
let copied: number;

beforeEach(() => {
  vi.useFakeTimers();
  storage = new FakeStorage();
  vi.stubGlobal('localStorage', storage);
  memory = new Map();
  streamingId = undefined;
  paused = false;
  copied = 0;
  writer = new CopyWriter({
    get: (id) => memory.get(id),
    isStreaming: (id) => id === streamingId,
    isPaused: () => paused,
    onCopied: () => copied++,
  });
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** Changes the text of a conversation, which is stored and thus to be copied. */
function write(id: string, text: string): void {
  const before =
    memory.get(id) ??
    addTurn(createConversation({ id, kind: 'text', generation: generationFrom(undefined) }, 1), {
      id: 'turn',
      parent: null,
      by: 'model',
      text,
      at: 1,
    });
  memory.set(id, changeTurn(before, 'turn', { text }));
  writer.copySoon([id]);
}

const texts = (): string[] => readCopies().map(({ turns }) => turns[0].text);
const seconds = (n: number): Promise<unknown> => vi.advanceTimersByTimeAsync(n * 1000);

it('copies what was changed last, once, some seconds later', async () => {
  const setItem = vi.spyOn(storage, 'setItem');
  for (const text of ['o', 'on', 'one']) write('a', text);
  write('b', 'two');
  expect(texts()).toEqual([]);
  await seconds(3);
  expect([texts(), setItem.mock.calls.length, copied]).toEqual([['one', 'two'], 2, 1]);
});

it('copies a conversation once per minute while an answer is being written in it, and at its end', async () => {
  streamingId = 'a';
  const setItem = vi.spyOn(storage, 'setItem');
  for (let n = 1; n <= 150; n++) {
    write('a', `${n}`);
    if (n === 10) write('b', 'other');
    await seconds(1);
    if (n === 20) expect(texts()).toEqual(['other']);
  }
  expect(setItem.mock.calls.filter(([key]) => key.endsWith('/a'))).toHaveLength(2);
  write('a', 'end');
  streamingId = undefined; // after the last save
  await seconds(3);
  expect(texts()).toContain('end');
});

it('copies a long answer also after the clock was set back', async () => {
  streamingId = 'a';
  write('a', 'one');
  vi.setSystemTime(Date.now() - 86_400_000);
  await seconds(63);
  expect(texts()).toEqual(['one']);
});

it('copies nothing while it is paused, and everything afterwards', async () => {
  write('a', 'one');
  paused = true;
  await seconds(60);
  expect([texts(), copied]).toEqual([[], 0]);
  paused = false;
  await seconds(3);
  expect([texts(), copied]).toEqual([['one'], 1]);
});

it('copies nothing of a conversation that was deleted meanwhile', async () => {
  write('a', 'one');
  memory.delete('a');
  await seconds(3);
  expect([texts(), copied]).toEqual([[], 1]);
});

it('copies one conversation per idle period', async () => {
  const waiting: (() => void)[] = [];
  vi.stubGlobal('requestIdleCallback', (work: () => void) => waiting.push(work));
  write('a', 'one');
  write('b', 'two');
  await seconds(60);
  expect([texts(), waiting.length]).toEqual([[], 1]);
  waiting.pop()!();
  expect([texts(), waiting.length]).toEqual([['one'], 1]);
  waiting.pop()!();
  expect(texts()).toEqual(['one', 'two']);
});
