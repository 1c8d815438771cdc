/** The worker's end of src/contract/site-store.ts. */
import { wrap } from '../../src/contract/rpc.ts';
import { isSiteStoreMessage, type SiteStore } from '../../src/contract/site-store.ts';

/** @param otherPorts ports for the workers that this worker starts */
type AttachListener = (siteStore: SiteStore, otherPorts: MessagePort[]) => void;

/**
 * Receives the message that gives this worker a port to the site's own store.
 *
 * Create it while the worker's entry point runs. The browser queues messages until then and delivers none before, so
 * none is missed, even if a listener is added later.
 */
export class SiteStoreReceiver {
  readonly #listeners: AttachListener[] = [];
  #attached: Parameters<AttachListener> | undefined;

  constructor() {
    addEventListener('message', ({ data }: MessageEvent<unknown>) => {
      if (!isSiteStoreMessage(data)) return;
      const [port, ...otherPorts] = data.mixtabSiteStore;
      this.#attached = [wrap<SiteStore>(port), otherPorts];
      for (const listener of this.#listeners) listener(...this.#attached);
    });
  }

  /** Calls `listener` for each site store that is attached, and at once if one already is. */
  onAttach(listener: AttachListener): void {
    this.#listeners.push(listener);
    if (this.#attached) listener(...this.#attached);
  }
}
