/**
 * Models of the site itself, lent to a frame of it. A browser gives an embedded page a store of its own for each embedding
 * site; where the user allows it, the frame's window (not its workers) can read the site's own one, and does so for them.
 */

/** Where models lie, in the site's store as in a frame's. */
export const MODEL_DATABASE = { name: 'mixtab-models', objectStore: 'models' } as const;
/** Keys of what is lent; journals and halves of imports are not. */
export const MODEL_PREFIX = 'model/';
export const RECORD_PREFIX = 'record/';

/** What can be read; nothing is ever written to the site's own store. */
export interface SiteStore {
  /** Keys and manifests of the models whose records can be lent: those in the database, not those in files. */
  models(): Promise<[string, unknown][]>;
  getMany(keys: string[]): Promise<unknown[]>;
}

/** Sent to a worker beside comlink's messages: a port to {@link SiteStore} for it, and one for each worker of its own. */
export interface SiteStoreMessage {
  mixtabSiteStore: MessagePort[];
}

export const isSiteStoreMessage = (data: unknown): data is SiteStoreMessage =>
  typeof data === 'object' && data !== null && Array.isArray((data as Partial<SiteStoreMessage>).mixtabSiteStore);
