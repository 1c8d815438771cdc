/** When the words of an answer are stored. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { GenerateEvent } from '../../contract/engine-api.ts';
import { browser } from '../state/database-testing.ts';
import { stubPage } from './page-testing.ts';

vi.mock('../state/database.ts', () => import('../state/database-testing.ts'));
stubPage();

const { addTurn } = await import('../state/conversation-tree.ts');
const { beginConversation, streaming, updateConversation } = await import('../state/conversations.ts');
const { prefill } = await import('../state/generation.ts');
const { StreamedTurn } = await import('./streamed-turn.ts');

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const token = (text: string): GenerateEvent => ({ type: 'token', token: { text } }) as unknown as GenerateEvent;

/** An answer that has begun, and the text that is stored of it. */
function beginAnswer() {
  const { id } = beginConversation('chat');
  updateConversation(id, (before) => addTurn(before, { id: 'a', parent: null, by: 'model', text: '', at: 1 }));
  const { signal } = new AbortController();
  const turn = new StreamedTurn({ conversationId: id, turnId: 'a', textBefore: '', kind: 'chat', signal });
  const stored = (): string | undefined =>
    (browser.databases.get('mixtab-chats')?.get(id) as { turns: { text: string }[] } | undefined)?.turns[0]?.text;
  return { turn, stored };
}

it('stores words within a second, even if no more of them arrive', async () => {
  const { turn, stored } = beginAnswer();
  turn.onEvent(token('One'));
  await vi.advanceTimersByTimeAsync(900);
  turn.onEvent(token(' two'));
  await vi.advanceTimersByTimeAsync(150);
  expect(stored()).toBe('One two');
  turn.onEvent(token(' three'));
  await vi.advanceTimersByTimeAsync(500);
  expect(stored()).toBe('One two');
  await vi.advanceTimersByTimeAsync(600);
  expect(stored()).toBe('One two three');
});

it('stores nothing after its end, when whoever ended it has stored the whole answer', async () => {
  const { turn, stored } = beginAnswer();
  turn.onEvent(token('One'));
  turn.end();
  await vi.advanceTimersByTimeAsync(5000);
  expect(stored()).toBeUndefined();
});

it('shows nothing of what arrives after its end', async () => {
  const { turn } = beginAnswer();
  turn.onEvent(token('One'));
  await vi.advanceTimersByTimeAsync(100);
  turn.end();
  turn.onEvent(token(' two'));
  turn.onEvent({ type: 'prefill', tokensDone: 1, tokensTotal: 2 } as GenerateEvent);
  await vi.advanceTimersByTimeAsync(5000);
  expect(streaming.value?.text).toBe('One');
  expect(prefill.value).toBeUndefined();
});
