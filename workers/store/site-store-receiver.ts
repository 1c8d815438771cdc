/** The worker's end of src/contract/site-store.ts. */
import { wrap } from '../../src/contract/rpc.ts';
import { isSiteStoreMessage, type RemoteSiteStore } from '../../src/contract/site-store.ts';

type AttachListener = (siteStore: RemoteSiteStore) => void;

/**
 * Receives the message that gives this worker a port to the site's own store.
 *
 * Create it while the worker's entry point runs. The browser queues messages until then and delivers none before, so
 * none is missed, even if a listener is added later.
 */
export class SiteStoreReceiver {
  readonly #listeners: AttachListener[] = [];
  #attached: RemoteSiteStore | undefined;

  constructor() {
    addEventListener('message', ({ data }: MessageEvent<unknown>) => {
      if (!isSiteStoreMessage(data)) return;
      const siteStore = wrap<RemoteSiteStore>(data.mixtabSiteStore);
      this.#attached = siteStore;
      for (const listener of this.#listeners) listener(siteStore);
    });
  }

  /** Calls `listener` for each site store that is attached, and at once if one already is. */
  onAttach(listener: AttachListener): void {
    this.#listeners.push(listener);
    if (this.#attached) listener(this.#attached);
  }
}
