import { describe, expect, it } from 'vitest';
import { expertIndex, layerIndex } from '../../src/contract/ids.ts';
import { ExpertLoader } from './expert-loader.ts';
import { RamTier } from './ram-tier.ts';

/** A store whose reads end when the test says so, or when they are taken back. */
function heldStore(readsAtOnce: number, ramBytes = 0) {
  const started: string[] = [];
  const cancelled: string[] = [];
  const ram = new RamTier<Uint8Array<ArrayBuffer>>(ramBytes);
  const ends = new Map<string, { resolve(record: Uint8Array<ArrayBuffer>): void; reject(error: Error): void }>();
  const loader = new ExpertLoader(
    (layer, expert, signal) => {
      const key = `L${layer}.E${expert}`;
      started.push(key);
      return new Promise((resolve, reject) => {
        ends.set(key, { resolve, reject });
        signal.addEventListener('abort', () => {
          cancelled.push(key);
          reject(new Error('taken back'));
        });
      });
    },
    ram,
    readsAtOnce,
  );
  const end = async (key: string): Promise<void> => {
    ends.get(key)!.resolve(new Uint8Array(10));
    await new Promise((resolve) => setTimeout(resolve));
  };
  return { loader, ram, started, cancelled, ends, end };
}

const L0 = layerIndex(0);
const L1 = layerIndex(1);
const E = expertIndex;

describe('ExpertLoader', () => {
  it('reads what is demanded before what is predicted, whatever came first', async () => {
    const { loader, started, end } = heldStore(1);
    void loader.demand(L0, E(0));
    void loader.predict(L1, E(1));
    void loader.predict(L1, E(2));
    void loader.demand(L0, E(3));
    expect(started).toEqual(['L0.E0']);
    await end('L0.E0');
    expect(started).toEqual(['L0.E0', 'L0.E3']);
    await end('L0.E3');
    await end('L1.E1');
    expect(started).toEqual(['L0.E0', 'L0.E3', 'L1.E1', 'L1.E2']);
  });

  it('reads an expert once, when a demand meets its prediction, and moves it to the front', async () => {
    const { loader, started, end } = heldStore(1);
    void loader.demand(L0, E(0));
    void loader.predict(L0, E(1));
    const predicted = loader.predict(L0, E(2));
    const demanded = loader.demand(L0, E(2));
    await end('L0.E0');
    await end('L0.E2');
    expect(await demanded).toBe(await predicted);
    expect(started).toEqual(['L0.E0', 'L0.E2', 'L0.E1']);
    expect(loader.bytesRead).toBe(20);
  });

  it('drops predictions of a layer, but for those it is told to keep: waiting ones are not read, one under way is taken back', async () => {
    const { loader, ram, started, cancelled, end } = heldStore(1, 100);
    const running = loader.predict(L0, E(0));
    const waiting = loader.predict(L0, E(1));
    void loader.predict(L0, E(2));
    void loader.predict(L1, E(3));
    loader.cancelPredictions(L0, new Set([E(2)]));
    expect(cancelled).toEqual(['L0.E0']);
    expect([await running, await waiting]).toEqual([undefined, undefined]);
    expect(started).toEqual(['L0.E0', 'L0.E2']);
    await end('L0.E2');
    await end('L1.E3');
    expect(started).toEqual(['L0.E0', 'L0.E2', 'L1.E3']);
    expect(loader.bytesRead).toBe(20);
    expect(ram.has('L0.E0')).toBe(false);
  });

  it('begins with what is demanded when a wrong guess is taken back, and goes on with a right one', async () => {
    const { loader, started, cancelled, end } = heldStore(2);
    void loader.predict(L0, E(0));
    void loader.predict(L1, E(1));
    loader.cancelPredictions(L0, new Set([E(2)]));
    const demanded = loader.demand(L0, E(2));
    expect(cancelled).toEqual(['L0.E0']);
    expect(started).toEqual(['L0.E0', 'L0.E2']);
    await end('L0.E2');
    expect((await demanded).byteLength).toBe(10);
    expect(started).toEqual(['L0.E0', 'L0.E2', 'L1.E1']);

    const right = loader.predict(L1, E(1));
    loader.cancelPredictions(L1, new Set([E(1)]));
    const takenOver = loader.demand(L1, E(1));
    loader.cancelPredictions(L1, new Set()); // no guess any more
    await end('L1.E1');
    expect(await takenOver).toBe(await right);
    expect(cancelled).toEqual(['L0.E0']);
  });

  it('lets nothing that is demanded wait for a guess, and begins a guess only where nothing else is read', async () => {
    const { loader, started, end } = heldStore(2);
    void loader.predict(L1, E(0));
    void loader.predict(L1, E(1));
    expect(started).toEqual(['L1.E0']);
    void loader.demand(L0, E(0));
    void loader.demand(L0, E(1));
    expect(started).toEqual(['L1.E0', 'L0.E0', 'L0.E1']);
    for (const key of ['L1.E0', 'L0.E0']) await end(key);
    void loader.prefetch(L1, E(3)); // certain, only not yet
    expect(started.slice(3)).toEqual(['L1.E3']);
    await end('L0.E1');
    expect(started).toHaveLength(4);
    await end('L1.E3');
    expect(started.slice(4)).toEqual(['L1.E1']);
  });

  it('reads again what was taken back, also while the first read is still ending', async () => {
    const { loader, started, end } = heldStore(1);
    void loader.predict(L0, E(0));
    loader.cancelPredictions(L0, new Set());
    const again = loader.demand(L0, E(0));
    expect(started).toEqual(['L0.E0', 'L0.E0']);
    await new Promise((resolve) => setTimeout(resolve));
    expect(loader.isLoading(L0, E(0))).toBe(true);
    await end('L0.E0');
    expect((await again).byteLength).toBe(10);
    expect(loader.isLoading(L0, E(0))).toBe(false);
  });

  it('never drops what was demanded', async () => {
    const { loader, end } = heldStore(1);
    void loader.demand(L0, E(0));
    const demanded = loader.demand(L0, E(1));
    loader.cancelPredictions(L0, new Set());
    await end('L0.E0');
    await end('L0.E1');
    expect((await demanded).byteLength).toBe(10);
  });

  it('takes back what was demanded too, where all is cancelled, and reads it again for who asks later', async () => {
    const { loader, started, cancelled, end } = heldStore(1);
    const demanded = [loader.demand(L0, E(0)), loader.demand(L0, E(1))];
    const predicted = loader.predict(L1, E(0));
    loader.cancel();
    for (const demand of demanded) await expect(demand).rejects.toMatchObject({ code: 'aborted' });
    expect(await predicted).toBeUndefined();
    expect(cancelled).toEqual(['L0.E0']);
    const again = loader.demand(L0, E(1));
    expect(started).toEqual(['L0.E0', 'L0.E1']);
    await end('L0.E1');
    expect((await again).byteLength).toBe(10);
  });

  it('goes on after a read that failed, which its caller is told', async () => {
    const { loader, ends, end } = heldStore(1);
    const failing = loader.demand(L0, E(0));
    const next = loader.demand(L0, E(1));
    ends.get('L0.E0')!.reject(new Error('gone'));
    await expect(failing).rejects.toThrow('gone');
    await end('L0.E1');
    expect((await next).byteLength).toBe(10);
    const again = loader.demand(L0, E(0));
    await end('L0.E0');
    expect((await again).byteLength).toBe(10);
  });

  it('has several reads under way, and takes from main memory what is there', async () => {
    const { loader, started, end } = heldStore(2, 100);
    const first = loader.demand(L0, E(0));
    void loader.demand(L0, E(1));
    void loader.demand(L0, E(2));
    expect(started).toEqual(['L0.E0', 'L0.E1']);
    await end('L0.E0');
    expect(await loader.demand(L0, E(0))).toBe(await first);
    expect(started).toEqual(['L0.E0', 'L0.E1', 'L0.E2']);
  });
});
