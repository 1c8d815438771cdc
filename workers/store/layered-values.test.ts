import { beforeEach, describe, expect, it } from 'vitest';
import type { SiteStore } from '../../src/contract/site-store.ts';
import { LayeredValues } from './layered-values.ts';
import { MemoryValues } from './memory-store.ts';

let own: MemoryValues;
let site: MemoryValues;
let layered: LayeredValues;

const siteStoreOf = (values: MemoryValues): SiteStore => ({
  models: async () =>
    Promise.all(
      (await values.keys('model/')).map(async (key): Promise<[string, unknown]> => [key, await values.get(key)]),
    ),
  getMany: (keys) => values.getMany(keys),
});

beforeEach(async () => {
  own = new MemoryValues();
  site = new MemoryValues();
  layered = new LayeredValues(own);
  await own.write({
    set: [
      ['model/a', 'own a'],
      ['record/a/x/0000', 'own x'],
      ['import/c', 'own journal'],
    ],
  });
  await site.write({
    set: [
      ['model/a', 'site a'],
      ['model/b', 'site b'],
      ['record/b/y/0000', 'site y'],
      ['import/d', 'site journal'],
      ['partial/d', 'site half'],
    ],
  });
});

describe("a store with the site's own store below it", () => {
  it('has only its own models while no site store is attached', async () => {
    expect(await layered.getAll('model/')).toEqual(['own a']);
    expect(await layered.get('model/b')).toBeUndefined();
  });

  it('lists the models of both, its own first, and reads records of both', async () => {
    layered.attachSiteStore(siteStoreOf(site));
    expect(await layered.getAll('model/')).toEqual(['own a', 'site b']);
    expect(await layered.keys('model/')).toEqual(['model/a', 'model/b']);
    expect(await layered.get('model/a')).toBe('own a');
    expect(await layered.getMany(['record/b/y/0000', 'record/a/x/0000', 'record/z'])).toEqual([
      'site y',
      'own x',
      undefined,
    ]);
  });

  it('ignores imports in the site store', async () => {
    layered.attachSiteStore(siteStoreOf(site));
    expect(await layered.getAll('import/')).toEqual(['own journal']);
    expect(await layered.get('import/d')).toBeUndefined();
    expect(await layered.get('partial/d')).toBeUndefined();
    expect(await layered.keys('record/')).toEqual(['record/a/x/0000']);
  });

  it('writes only to its own store, and refuses to remove a model of the site store', async () => {
    layered.attachSiteStore(siteStoreOf(site));
    await layered.write({ set: [['model/e', 'own e']], delete: ['model/a', 'import/c'] });
    expect(await own.keys('')).toEqual(['model/e', 'record/a/x/0000']);
    expect((await site.keys('')).length).toBe(5);
    await expect(layered.write({ delete: ['model/b'] })).rejects.toMatchObject({ code: 'storage-unavailable' });
  });
});
