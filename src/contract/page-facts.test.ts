import { afterEach, expect, it, vi } from 'vitest';
import { noteClosing, pageFactsMessage } from '../connect/page-facts.ts';
import { pageFacts, receivePageFacts } from './page-facts.ts';

afterEach(() => vi.unstubAllGlobals());

function stubPage(maxTouchPoints: number, storage: Partial<Storage>): void {
  vi.stubGlobal('navigator', { maxTouchPoints });
  vi.stubGlobal('localStorage', storage);
}

it('tells a worker what its page sees: touch points, and when a page was closed', () => {
  const stored = new Map<string, string>();
  stubPage(5, { getItem: (key) => stored.get(key) ?? null, setItem: (key, value) => void stored.set(key, value) });
  const worker = new EventTarget();
  receivePageFacts(worker);
  const send = (data: unknown) => worker.dispatchEvent(Object.assign(new Event('message'), { data }));
  expect(pageFacts()).toEqual({ maxTouchPoints: 0 });
  send(pageFactsMessage());
  expect(pageFacts()).toEqual({ maxTouchPoints: 5 });
  const before = Date.now();
  noteClosing();
  send(pageFactsMessage());
  send({ id: 3 });
  expect(pageFacts()).toEqual({ maxTouchPoints: 5, closedAt: expect.any(Number) });
  expect(pageFacts().closedAt).toBeGreaterThanOrEqual(before);
});

it('knows no time where the browser blocks storage', () => {
  const blocked = () => {
    throw new Error('blocked');
  };
  stubPage(0, { getItem: blocked, setItem: blocked });
  noteClosing();
  expect(pageFactsMessage()).toEqual({ mixtabPageFacts: { maxTouchPoints: 0 } });
});
