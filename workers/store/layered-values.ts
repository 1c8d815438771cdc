/** An embedded page's own store, with the site's own store below it, read only. See src/contract/site-store.ts. */
import { MixtabError } from '../../src/contract/errors.ts';
import type { Bytes } from '../../src/contract/ids.ts';
import { MODEL_PREFIX, RECORD_PREFIX, type SiteStore } from '../../src/contract/site-store.ts';
import type { KeyValueChanges, KeyValues } from './store.ts';

/** Reads from an embedded page's own store first, then from the site's own store. Writes only to the first. */
export class LayeredValues implements KeyValues {
  #siteStore: SiteStore | undefined;

  constructor(private readonly own: KeyValues) {}

  attachSiteStore(siteStore: SiteStore): void {
    this.#siteStore = siteStore;
  }

  async keys(prefix: string): Promise<string[]> {
    const own = await this.own.keys(prefix);
    return [...own, ...(await this.#siteModels(prefix, own)).map(([key]) => key)];
  }

  async getAll(prefix: string): Promise<unknown[]> {
    const own = await this.own.getAll(prefix);
    if (!this.#isShared(prefix)) return own;
    return [...own, ...(await this.#siteModels(prefix, await this.own.keys(prefix))).map(([, value]) => value)];
  }

  async get(key: string): Promise<unknown> {
    return (await this.own.get(key)) ?? (await this.#siteValues([key]))[0];
  }

  async getMany(keys: string[]): Promise<unknown[]> {
    const own = await this.own.getMany(keys);
    const missing = keys.filter((_, i) => own[i] === undefined);
    const fromSite = new Map((await this.#siteValues(missing)).map((value, i) => [missing[i], value]));
    return own.map((value, i) => value ?? fromSite.get(keys[i]));
  }

  /** The site's own models are read-only: they are not updated, as if they had no value. */
  update(key: string, change: (value: unknown) => unknown): Promise<unknown> {
    return this.own.update(key, change);
  }

  /** @throws MixtabError `storage-unavailable` if it would delete a model that only the site's own store has */
  async write(changes: KeyValueChanges, bytes?: Bytes): Promise<void> {
    for (const key of changes.delete ?? []) {
      if (
        key.startsWith(MODEL_PREFIX) &&
        (await this.own.get(key)) === undefined &&
        (await this.get(key)) !== undefined
      )
        throw readOnlyModel();
    }
    await this.own.write(changes, bytes);
  }

  /** Only complete models are shared: the leftovers of an import concern the page that runs it. */
  #isShared(prefix: string): boolean {
    return this.#siteStore !== undefined && prefix === MODEL_PREFIX;
  }

  /** Keys and manifests in the site's own store that are not among the keys `own`. */
  async #siteModels(prefix: string, own: string[]): Promise<[string, unknown][]> {
    if (!this.#isShared(prefix)) return [];
    return (await this.#siteStore!.models()).filter(([key]) => !own.includes(key));
  }

  /** Values from the site's own store, in the order of `keys`; undefined for keys that it lacks or does not share. */
  async #siteValues(keys: string[]): Promise<unknown[]> {
    const shared = keys.filter((key) => key.startsWith(MODEL_PREFIX) || key.startsWith(RECORD_PREFIX));
    if (!this.#siteStore || shared.length === 0) return keys.map(() => undefined);
    const values = await this.#siteStore.getMany(shared);
    return keys.map((key) => values[shared.indexOf(key)]);
  }
}

const readOnlyModel = (): MixtabError =>
  new MixtabError(
    'storage-unavailable',
    'This model is stored by the page itself; an embedded page can only read it.',
    'Remove it on the page itself.',
  );
