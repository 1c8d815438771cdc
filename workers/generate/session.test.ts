import { describe, expect, it } from 'vitest';
import type { KvCacheBytes, KvRegion } from '../compute/compute.ts';
import { largestPart, regionsOf, restoreCache, saveCache, sessionFits } from './session.ts';

describe('regionsOf', () => {
  it('covers every byte once, in order, in regions of at most the given size', () => {
    const regions = regionsOf(2, 250, 100);
    expect(regions.map(({ layer, kind, offset, size }) => `${layer} ${kind} ${offset}+${size}`)).toEqual([
      '0 keys 0+100',
      '0 keys 100+100',
      '0 keys 200+50',
      '0 values 0+100',
      '0 values 100+100',
      '0 values 200+50',
      '1 keys 0+100',
      '1 keys 100+100',
      '1 keys 200+50',
      '1 values 0+100',
      '1 values 100+100',
      '1 values 200+50',
    ]);
  });

  it('uses whole buffers if these are small', () => {
    expect(regionsOf(1, 100, 100)).toEqual([
      { layer: 0, kind: 'keys', offset: 0, size: 100 },
      { layer: 0, kind: 'values', offset: 0, size: 100 },
    ]);
  });
});

describe('largestPart', () => {
  it("is 16 MiB for Mixtral's heads, and whole positions for any others", () => {
    expect(largestPart({ layerCount: 32, kvHeadCount: 8, headDim: 128 })).toBe(16 * 2 ** 20);
    const odd = largestPart({ layerCount: 2, kvHeadCount: 3, headDim: 80 });
    expect(odd % (3 * 80 * 2)).toBe(0);
    expect(16 * 2 ** 20 - odd).toBeLessThan(3 * 80 * 2);
  });
});

/** A KV cache in main memory. Its bytes are 0, 1, 2, ... if it is `filled`. */
class FakeCache implements KvCacheBytes {
  readonly shape = { layerCount: 2, kvHeadCount: 1, headDim: 4 };
  readonly limit = 10;
  readonly #bytes: Record<string, Uint8Array<ArrayBuffer>> = {};

  constructor(filled = false) {
    for (const [index, { layer, kind, size }] of regionsOf(2, 8 * this.limit).entries()) {
      this.#bytes[`${layer} ${kind}`] = Uint8Array.from({ length: size }, (_, i) => (filled ? index * size + i : 0));
    }
  }

  async *read(regions: readonly KvRegion[]): AsyncGenerator<ArrayBuffer> {
    for (const region of regions) yield this.#view(region).slice().buffer;
  }

  async reserve(): Promise<void> {}

  write(region: KvRegion, bytes: ArrayBuffer): void {
    this.#view(region).set(new Uint8Array(bytes));
  }

  #view({ layer, kind, offset, size }: KvRegion): Uint8Array<ArrayBuffer> {
    return this.#bytes[`${layer} ${kind}`].subarray(offset, offset + size);
  }
}

const OWNER = { modelId: 'm', weights: 'w', compute: 'cpu' as const };

async function save() {
  const parts: Blob[] = [];
  const header = await saveCache(new FakeCache(true), [5, 6, 7], { ...OWNER, routing: '' }, async (index, part) => {
    parts[index] = part;
  });
  return { parts, header: { ...header, generation: 1 } };
}

describe('a saved session', () => {
  it('restores the positions that were used, and no others', async () => {
    const { parts, header } = await save();
    expect(header).toMatchObject({ ...OWNER, tokens: Uint32Array.of(5, 6, 7), bytes: 2 * 2 * 3 * 8 });
    const restored = new FakeCache();
    expect(await restoreCache(restored, header, async (index) => parts[index].arrayBuffer())).toBe(true);
    const whole: number[][] = [];
    for await (const bytes of restored.read(regionsOf(2, 80))) whole.push([...new Uint8Array(bytes)]);
    const used = (first: number) => Array.from({ length: 80 }, (_, i) => (i < 24 ? first + i : 0));
    expect(whole).toEqual([used(0), used(80), used(160), used(240).map((byte) => byte % 256)]);
  });

  it('is not restored from a damaged or missing part', async () => {
    const { parts, header } = await save();
    const damaged = [...parts.slice(0, 3), new Blob([new Uint8Array(24)])];
    expect(await restoreCache(new FakeCache(), header, async (index) => damaged[index].arrayBuffer())).toBe(false);
    expect(await restoreCache(new FakeCache(), header, async (index) => parts.slice(1)[index]?.arrayBuffer())).toBe(
      false,
    );
  });

  it('fits only what computed it: model, weights, GPU or CPU', async () => {
    const { header } = await save();
    const fits = (owner: Partial<Parameters<typeof sessionFits>[2]>, of = header) =>
      sessionFits(of, new FakeCache(), { ...OWNER, ...owner });
    expect(fits({})).toBe(true);
    for (const other of [{ modelId: 'x' }, { weights: 'x' }, { compute: 'gpu' as const }])
      expect(fits(other)).toBe(false);
    const { compute, ...older } = header;
    expect([compute, fits({ compute: 'gpu' }, older), fits({ compute: 'cpu' }, older)]).toEqual(['cpu', true, false]);
  });
});
