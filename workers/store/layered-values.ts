/** A frame's own store, and beneath it, read only, the site's: see src/contract/site-store.ts. */
import { MixtabError } from '../../src/contract/errors.ts';
import type { Bytes } from '../../src/contract/ids.ts';
import { MODEL_PREFIX, RECORD_PREFIX, type SiteStore } from '../../src/contract/site-store.ts';
import type { KeyValues } from './store.ts';

export class LayeredValues implements KeyValues {
  #siteStore: SiteStore | undefined;

  constructor(private readonly own: KeyValues) {}

  attachSiteStore(siteStore: SiteStore): void {
    this.#siteStore = siteStore;
  }

  async keys(prefix: string): Promise<string[]> {
    const own = await this.own.keys(prefix);
    return [...own, ...(await this.#others(prefix, own)).map(([key]) => key)];
  }

  async getAll(prefix: string): Promise<unknown[]> {
    const own = await this.own.getAll(prefix);
    if (!this.#hasInSiteStore(prefix)) return own;
    return [...own, ...(await this.#others(prefix, await this.own.keys(prefix))).map(([, value]) => value)];
  }

  async get(key: string): Promise<unknown> {
    return (await this.own.get(key)) ?? (await this.#siteValueOf([key]))[0];
  }

  async getMany(keys: string[]): Promise<unknown[]> {
    const own = await this.own.getMany(keys);
    const missing = keys.filter((_, i) => own[i] === undefined);
    const fromSite = new Map((await this.#siteValueOf(missing)).map((value, i) => [missing[i], value]));
    return own.map((value, i) => value ?? fromSite.get(keys[i]));
  }

  async write(changes: Parameters<KeyValues['write']>[0], bytes?: Bytes): Promise<void> {
    for (const key of changes.delete ?? []) {
      if (
        key.startsWith(MODEL_PREFIX) &&
        (await this.own.get(key)) === undefined &&
        (await this.get(key)) !== undefined
      )
        throw notOurs();
    }
    await this.own.write(changes, bytes);
  }

  /** Only whole models are lent: what an import has left is nobody else's. */
  #hasInSiteStore(prefix: string): boolean {
    return this.#siteStore !== undefined && prefix === MODEL_PREFIX;
  }

  async #others(prefix: string, own: string[]): Promise<[string, unknown][]> {
    if (!this.#hasInSiteStore(prefix)) return [];
    return (await this.#siteStore!.models()).filter(([key]) => !own.includes(key));
  }

  async #siteValueOf(keys: string[]): Promise<unknown[]> {
    const shared = keys.filter((key) => key.startsWith(MODEL_PREFIX) || key.startsWith(RECORD_PREFIX));
    if (!this.#siteStore || shared.length === 0) return keys.map(() => undefined);
    const values = await this.#siteStore.getMany(shared);
    return keys.map((key) => values[shared.indexOf(key)]);
  }
}

const notOurs = (): MixtabError =>
  new MixtabError(
    'storage-unavailable',
    'This model is stored by the page itself; an embedded page can only read it.',
    'Remove it on the page itself.',
  );
