/** Two tabs that change the same fact about an adapter at the same time. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { AdapterMemory } from '../../store/adapter-memory.ts';
import { changeAlone } from './change-alone.ts';
import { changeHistory } from './gpu-budget.ts';

const DATABASE = new Map<string, unknown>();

/** What a tab remembers: each access to the database that all tabs share takes a while. */
class TabMemory extends AdapterMemory {
  override async get(name: string): Promise<unknown> {
    await new Promise((resolve) => setTimeout(resolve, 1));
    return DATABASE.get(name);
  }

  override async set(name: string, value: unknown): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, 1));
    DATABASE.set(name, value);
  }
}

/** Grants a lock when the one before it is free. */
class FakeLocks {
  readonly names: string[] = [];
  #last: Promise<unknown> = Promise.resolve();

  request(name: string, _options: object, run: () => Promise<unknown>): Promise<unknown> {
    this.names.push(name);
    this.#last = this.#last.then(run);
    return this.#last;
  }
}

const tab = () => ({ memory: new TabMemory('card'), measureMemory: true });
let locks: FakeLocks;

beforeEach(() => {
  DATABASE.clear();
  locks = new FakeLocks();
  vi.stubGlobal('navigator', { locks });
});
afterEach(() => void vi.unstubAllGlobals());

describe('the history of a GPU', () => {
  it('keeps what two tabs learn at the same time', async () => {
    await Promise.all([
      changeHistory(tab(), (history) => ({ ...history, readRate: 5e11 })),
      changeHistory(tab(), (history) => ({ ...history, good: 7e9 })),
    ]);
    expect(DATABASE.get('gpu memory')).toEqual({ readRate: 5e11, good: 7e9 });
    expect(locks.names).toEqual(['mixtab-gpu-memory', 'mixtab-gpu-memory']);
  });

  it('is changed without locks too, and if a tab never frees its lock', async () => {
    vi.stubGlobal('navigator', {});
    await changeHistory(tab(), (history) => ({ ...history, good: 1 }));
    vi.stubGlobal('navigator', {
      locks: { request: async () => Promise.reject(new DOMException('', 'TimeoutError')) },
    });
    const changed = await changeHistory(tab(), (history) => ({ ...history, readRate: 2 }));
    expect(changed).toEqual({ good: 1, readRate: 2 });
    expect(DATABASE.get('gpu memory')).toEqual(changed);
  });

  it('waits for a lock for a limited time', async () => {
    const request = vi.fn(async (_name: string, _options: { signal: AbortSignal }) => {});
    vi.stubGlobal('navigator', { locks: { request } });
    await changeAlone(
      tab().memory,
      'a fact',
      (value) => value,
      (value) => value,
    );
    expect(request.mock.calls[0][0]).toBe('mixtab-a-fact');
    expect(request.mock.calls[0][1].signal).toBeInstanceOf(AbortSignal);
  });
});
