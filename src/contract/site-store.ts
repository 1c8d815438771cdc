/**
 * The models of mixtab's own site, shared with an embedded frame. Browsers give an embedded page a separate store for
 * each embedding site. If the user allows it, the frame's window can read the site's own store, but its workers cannot.
 * So the window reads for them.
 */

import type { Bytes } from './ids.ts';

/** The database of models, in the site's own store and in a frame's. */
export const MODEL_DATABASE = { name: 'mixtab-models', objectStore: 'models' } as const;
/** Prefix of the keys of manifests. Journals and partial imports have other prefixes and are not shared. */
export const MODEL_PREFIX = 'model/';
/** Prefix of the keys of records. */
export const RECORD_PREFIX = 'record/';
/** Folder of the origin private file system with a directory per model, and in it a file per record. */
export const RECORD_FOLDER = 'mixtab-records';
/** Largest Blob in the database. Larger ones were slower to write and to read. */
export const PART_BYTES: Bytes = 16 * 1024 * 1024;

/** Read-only access to the site's own store. */
export interface SiteStore {
  /** Keys and manifests of the models. If their records are files, they are listed as if they were in the database. */
  models(): Promise<[key: string, manifest: unknown][]>;
  /**
   * Values in the order of `keys`; undefined for missing ones. Parts of a file are Blobs, like those of the database.
   */
  getMany(keys: string[]): Promise<unknown[]>;
}

/** The site's own store, as a worker sees it. */
export interface RemoteSiteStore extends SiteStore {
  /** Another port to the store, for a worker that this worker starts. */
  open(): Promise<MessagePort>;
}

/** Sent to a worker between comlink's messages: a port to a {@link RemoteSiteStore}. */
export interface SiteStoreMessage {
  mixtabSiteStore: MessagePort;
}

/** Whether a message that a worker received is a {@link SiteStoreMessage}. */
export const isSiteStoreMessage = (data: unknown): data is SiteStoreMessage =>
  typeof data === 'object' &&
  data !== null &&
  (data as Partial<SiteStoreMessage>).mixtabSiteStore instanceof MessagePort;
