import { describe, expect, it } from 'vitest';
import { expertIndex, layerIndex } from '../../src/contract/ids.ts';
import { expertKey } from '../format/manifest.ts';
import { ExpertLoader } from './expert-loader.ts';

/** A loader whose reads end when the test calls `end`, or when they are cancelled. */
function heldLoader(maxReads: number, kept: Record<string, Uint8Array<ArrayBuffer>> = {}) {
  const started: string[] = [];
  const cancelled: string[] = [];
  const ends = new Map<string, { resolve(record: Uint8Array<ArrayBuffer>): void; reject(error: Error): void }>();
  const loader = new ExpertLoader<Uint8Array<ArrayBuffer>>({
    read: (layer, expert, signal): Promise<Uint8Array<ArrayBuffer>> => {
      const key = expertKey(layer, expert);
      started.push(key);
      return new Promise((resolve, reject) => {
        ends.set(key, { resolve, reject });
        signal.addEventListener('abort', () => {
          cancelled.push(key);
          reject(new Error('cancelled'));
        });
      });
    },
    kept: (layer, expert) => kept[expertKey(layer, expert)],
    maxReads,
  });
  const end = async (key: string): Promise<void> => {
    ends.get(key)!.resolve(new Uint8Array(10));
    await new Promise((resolve) => setTimeout(resolve));
  };
  return { loader, started, cancelled, ends, end };
}

const L0 = layerIndex(0);
const L1 = layerIndex(1);
const E = expertIndex;

describe('ExpertLoader', () => {
  it('reads demanded experts before predicted ones, whichever came first', async () => {
    const { loader, started, end } = heldLoader(1);
    void loader.demand(L0, E(0));
    void loader.prefetchPredicted(L1, E(1));
    void loader.prefetchPredicted(L1, E(2));
    void loader.demand(L0, E(3));
    expect(started).toEqual(['L0.E0']);
    await end('L0.E0');
    expect(started).toEqual(['L0.E0', 'L0.E3']);
    await end('L0.E3');
    await end('L1.E1');
    expect(started).toEqual(['L0.E0', 'L0.E3', 'L1.E1', 'L1.E2']);
  });

  it('reads an expert once if it is predicted and then demanded, and moves it to the front', async () => {
    const { loader, started, end } = heldLoader(1);
    void loader.demand(L0, E(0));
    void loader.prefetchPredicted(L0, E(1));
    const predicted = loader.prefetchPredicted(L0, E(2));
    const demanded = loader.demand(L0, E(2));
    await end('L0.E0');
    await end('L0.E2');
    expect(await demanded).toBe(await predicted);
    expect(started).toEqual(['L0.E0', 'L0.E2', 'L0.E1']);
    expect(loader.bytesRead).toBe(20);
  });

  it('cancels the predictions of a layer, waiting or running, except those to keep', async () => {
    const { loader, started, cancelled, end } = heldLoader(1);
    const running = loader.prefetchPredicted(L0, E(0));
    const waiting = loader.prefetchPredicted(L0, E(1));
    void loader.prefetchPredicted(L0, E(2));
    void loader.prefetchPredicted(L1, E(3));
    loader.cancelPrefetches(L0, new Set([E(2)]));
    expect(cancelled).toEqual(['L0.E0']);
    expect([await running, await waiting]).toEqual([undefined, undefined]);
    expect(started).toEqual(['L0.E0', 'L0.E2']);
    await end('L0.E2');
    await end('L1.E3');
    expect(started).toEqual(['L0.E0', 'L0.E2', 'L1.E3']);
    expect(loader.bytesRead).toBe(20);
  });

  it('starts a demanded read when a wrong prediction is cancelled, and continues a right one', async () => {
    const { loader, started, cancelled, end } = heldLoader(2);
    void loader.prefetchPredicted(L0, E(0));
    void loader.prefetchPredicted(L1, E(1));
    loader.cancelPrefetches(L0, new Set([E(2)]));
    const demanded = loader.demand(L0, E(2));
    expect(cancelled).toEqual(['L0.E0']);
    expect(started).toEqual(['L0.E0', 'L0.E2']);
    await end('L0.E2');
    expect((await demanded).byteLength).toBe(10);
    expect(started).toEqual(['L0.E0', 'L0.E2', 'L1.E1']);

    const right = loader.prefetchPredicted(L1, E(1));
    loader.cancelPrefetches(L1, new Set([E(1)]));
    const demandedToo = loader.demand(L1, E(1));
    loader.cancelPrefetches(L1, new Set()); // it is demanded by now
    await end('L1.E1');
    expect(await demandedToo).toBe(await right);
    expect(cancelled).toEqual(['L0.E0']);
  });

  it('never delays a demanded read, and starts a prediction only while nothing else is read', async () => {
    const { loader, started, end } = heldLoader(2);
    void loader.prefetchPredicted(L1, E(0));
    void loader.prefetchPredicted(L1, E(1));
    expect(started).toEqual(['L1.E0']);
    void loader.demand(L0, E(0));
    void loader.demand(L0, E(1));
    expect(started).toEqual(['L1.E0', 'L0.E0', 'L0.E1']);
    for (const key of ['L1.E0', 'L0.E0']) await end(key);
    void loader.prefetch(L1, E(3)); // certain to be needed, but later
    expect(started.slice(3)).toEqual(['L1.E3']);
    await end('L0.E1');
    expect(started).toHaveLength(4);
    await end('L1.E3');
    expect(started.slice(4)).toEqual(['L1.E1']);
  });

  it('reads a cancelled expert again, even while its first read is still ending', async () => {
    const { loader, started, end } = heldLoader(1);
    void loader.prefetchPredicted(L0, E(0));
    loader.cancelPrefetches(L0, new Set());
    const again = loader.demand(L0, E(0));
    expect(started).toEqual(['L0.E0', 'L0.E0']);
    await new Promise((resolve) => setTimeout(resolve));
    expect(loader.isLoading(L0, E(0))).toBe(true);
    await end('L0.E0');
    expect((await again).byteLength).toBe(10);
    expect(loader.isLoading(L0, E(0))).toBe(false);
  });

  it('does not cancel demanded reads with the predictions', async () => {
    const { loader, end } = heldLoader(1);
    void loader.demand(L0, E(0));
    const demanded = loader.demand(L0, E(1));
    loader.cancelPrefetches(L0, new Set());
    await end('L0.E0');
    await end('L0.E1');
    expect((await demanded).byteLength).toBe(10);
  });

  it('cancels demanded reads if everything is cancelled, and reads them again later', async () => {
    const { loader, started, cancelled, end } = heldLoader(1);
    const demanded = [loader.demand(L0, E(0)), loader.demand(L0, E(1))];
    const predicted = loader.prefetchPredicted(L1, E(0));
    loader.cancel();
    for (const demand of demanded) await expect(demand).rejects.toMatchObject({ code: 'aborted' });
    expect(await predicted).toBeUndefined();
    expect(cancelled).toEqual(['L0.E0']);
    const again = loader.demand(L0, E(1));
    expect(started).toEqual(['L0.E0', 'L0.E1']);
    await end('L0.E1');
    expect((await again).byteLength).toBe(10);
  });

  it('reports a failed read to its caller and continues with the next', async () => {
    const { loader, ends, end } = heldLoader(1);
    const failing = loader.demand(L0, E(0));
    const next = loader.demand(L0, E(1));
    ends.get('L0.E0')!.reject(new Error('read failed'));
    await expect(failing).rejects.toThrow('read failed');
    await end('L0.E1');
    expect((await next).byteLength).toBe(10);
    const again = loader.demand(L0, E(0));
    await end('L0.E0');
    expect((await again).byteLength).toBe(10);
  });

  it('runs several reads at once, and takes experts from main memory if they are there', async () => {
    const kept = new Uint8Array(10);
    const { loader, started, end } = heldLoader(2, { 'L0.E4': kept });
    void loader.demand(L0, E(0));
    void loader.demand(L0, E(1));
    void loader.demand(L0, E(2));
    expect(started).toEqual(['L0.E0', 'L0.E1']);
    await end('L0.E0');
    expect(await loader.demand(L0, E(4))).toBe(kept);
    expect(started).toEqual(['L0.E0', 'L0.E1', 'L0.E2']);
  });
});
