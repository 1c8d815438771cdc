import { afterEach, expect, it, vi } from 'vitest';
import { forgetClosing, noteClosing, pageFactsMessage } from '../connect/page-facts.ts';
import { KEPT_CLOSINGS, newWorkerId, pageFacts, receivePageFacts } from './page-facts.ts';

afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

function stubPage(maxTouchPoints: number, storage: Partial<Storage>): void {
  vi.stubGlobal('navigator', { maxTouchPoints });
  vi.stubGlobal('localStorage', storage);
}

/** A storage that other things use, too. */
function memoryStorage(): Partial<Storage> {
  const stored = new Map([['other', 'x']]);
  return {
    getItem: (key) => stored.get(key) ?? null,
    setItem: (key, value) => void stored.set(key, value),
    removeItem: (key) => void stored.delete(key),
    key: (index) => [...stored.keys()][index] ?? null,
    get length() {
      return stored.size;
    },
  };
}

it('tells a worker what its page sees: touch points, its own id, and which workers were ended', () => {
  stubPage(5, memoryStorage());
  const worker = new EventTarget();
  receivePageFacts(worker);
  const send = (data: unknown) => worker.dispatchEvent(Object.assign(new Event('message'), { data }));
  expect(pageFacts()).toEqual({ maxTouchPoints: 0, workerId: expect.any(String), closings: {} });
  send(pageFactsMessage('b'));
  expect(pageFacts()).toEqual({ maxTouchPoints: 5, workerId: 'b', closings: {} });
  vi.spyOn(Date, 'now').mockReturnValue(1000);
  noteClosing('a');
  noteClosing('c');
  forgetClosing('c');
  send(pageFactsMessage('b'));
  send({ id: 3 });
  expect(pageFacts()).toEqual({ maxTouchPoints: 5, workerId: 'b', closings: { a: 1000 } });
});

it('keeps the latest closings', () => {
  stubPage(0, memoryStorage());
  const now = vi.spyOn(Date, 'now');
  for (let i = 0; i < KEPT_CLOSINGS + 3; i++) {
    now.mockReturnValue(1000 + i);
    noteClosing(`worker ${i}`);
  }
  const { closings } = pageFactsMessage('b').mixtabPageFacts;
  expect(Object.keys(closings).length).toBe(KEPT_CLOSINGS);
  expect([closings['worker 2'], closings['worker 3']]).toEqual([undefined, 1003]);
});

it('knows no closings where the browser blocks storage', () => {
  const blocked = () => {
    throw new Error('blocked');
  };
  stubPage(0, { getItem: blocked, setItem: blocked, removeItem: blocked });
  noteClosing('a');
  forgetClosing('a');
  expect(pageFactsMessage('b')).toEqual({ mixtabPageFacts: { maxTouchPoints: 0, workerId: 'b', closings: {} } });
});

it('gives each worker an id of its own', () => {
  expect(newWorkerId()).not.toBe(newWorkerId());
});
