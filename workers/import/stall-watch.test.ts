/** Waits without an end: they are noticed, said, and the import is tried again. Patience doubles, so no time matters. */
import { describe, expect, it } from 'vitest';
import { MemoryStore, MemoryValues } from '../store/memory-store.ts';
import { STALLED, withStallWatch } from './stall-watch.ts';
import { importTiny, sourceOf, TINY } from './testing.ts';
import { verifyModel } from './verify.ts';

const forever = new Promise<never>(() => {});
const running = (): AbortSignal => new AbortController().signal;

/** A store that never finishes one write, at record `at`. */
class HangingValues extends MemoryValues {
  hung = false;
  constructor(private at: number) {
    super();
  }
  override async write(changes: Parameters<MemoryValues['write']>[0]): Promise<void> {
    if (!this.hung && changes.set?.some(([key]) => key.startsWith('record/')) && this.at-- <= 0) {
      this.hung = true;
      await forever;
    }
    await super.write(changes);
  }
}

describe('an import that makes no progress', () => {
  it.each([0, 9])('because a write of record %i never ends: continues with what is stored', async (at) => {
    const store = new MemoryStore(new HangingValues(at));
    const stalls: (string | undefined)[] = [];
    const { id } = await withStallWatch(
      ({ signal, activity }) => importTiny(store, TINY, { signal, activity, onProgress: activity.progress }),
      { signal: running(), patienceMs: 100, onStall: (_seconds, step) => stalls.push(step) },
    );
    expect(stalls).toContain('storing records');
    expect(await verifyModel(store, id, () => {})).toEqual([]);
    expect(await store.listJournals()).toEqual([]);
  });

  it('because a read never ends: continues with what is stored', async () => {
    const store = new MemoryStore();
    const stalls: (string | undefined)[] = [];
    let reads = 0;
    const { id } = await withStallWatch(
      ({ signal, activity }) => {
        const source = sourceOf(TINY);
        const read = source.read.bind(source);
        source.read = (...range) => (++reads === 50 ? forever : read(...range));
        return importTiny(store, TINY, { source, signal, activity, onProgress: activity.progress });
      },
      { signal: running(), patienceMs: 100, onStall: (_seconds, step) => stalls.push(step) },
    );
    expect(stalls).toContain('reading the file');
    expect(await verifyModel(store, id, () => {})).toEqual([]);
  });

  it('can be stopped', async () => {
    const controller = new AbortController();
    const stopped = withStallWatch(
      ({ signal }) =>
        new Promise<never>((_, reject) => {
          signal.addEventListener('abort', () => reject(new Error(String(signal.reason))));
        }),
      { signal: controller.signal, onStall: () => {} },
    );
    controller.abort('pause');
    await expect(stopped).rejects.toThrow('pause');
  });

  it('is given up by its signal, so that it changes nothing any more', async () => {
    const signals: AbortSignal[] = [];
    await withStallWatch(
      ({ signal }) => {
        signals.push(signal);
        return signals.length < 3 ? forever : Promise.resolve();
      },
      { signal: running(), patienceMs: 10, onStall: () => {} },
    );
    expect(signals.map(({ reason }) => reason)).toEqual([STALLED, STALLED, undefined]);
  });
});

it('an error of an import that makes progress is thrown', async () => {
  const failing = withStallWatch(() => Promise.reject(new Error('broken')), { signal: running(), onStall: () => {} });
  await expect(failing).rejects.toThrow('broken');
});
