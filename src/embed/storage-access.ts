/**
 * Explains to the user of a frame which storage it uses, and offers the models of the site itself. All browsers have the
 * Storage Access API for cookies. Only Chromium also gives a handle to IndexedDB, which models need, and only to the window.
 */
import type { SiteStore } from '../contract/site-store.ts';
import { openSiteModels } from './site-models.ts';

interface StorageAccessHandle {
  readonly indexedDB: IDBFactory;
}

/** Chromium's signature. Other browsers take no argument and return no handle. */
type RequestAccess = (types: { indexedDB: true }) => Promise<StorageAccessHandle | undefined>;

/**
 * @param embedder origin of the embedding page
 * @param use called when the user has allowed the frame to read the site's models
 */
export function offerSiteModels(embedder: string, use: (siteStore: SiteStore) => void): void {
  const { hostname, host } = location;
  if (new URL(embedder).hostname === hostname) return; // the same site: ports do not matter
  const [storage, button] = [document.getElementById('storage'), document.getElementById('site-models')];
  if (!storage || !button) return;
  const say = (text: string): void => {
    storage.textContent = text;
  };
  const explanation = `The browser keeps separate storage for each embedding site: the models that you have on ${host} are not available on ${new URL(embedder).host}.`;
  say(explanation);
  storage.hidden = false;
  const request = (document as { requestStorageAccess?: RequestAccess }).requestStorageAccess;
  if (!request) return;
  button.textContent = `Use the models I have on ${host}`;
  button.hidden = false;
  button.onclick = async () => {
    try {
      const handle = await request.call(document, { indexedDB: true });
      button.hidden = true;
      if (!handle?.indexedDB) {
        say(`${explanation} This browser cannot share them with a frame. Import a model here.`);
        return;
      }
      const siteStore = await openSiteModels(handle.indexedDB);
      const count = (await siteStore?.models())?.length ?? 0;
      if (!siteStore || count === 0) {
        say(`${explanation} ${host} has no models in its database.`);
        return;
      }
      use(siteStore);
      say(
        `${count === 1 ? 'One model' : `${count} models`} of ${host} can now be used here. This page cannot change them.`,
      );
    } catch (error) {
      const denied = error instanceof DOMException && error.name === 'NotAllowedError';
      say(
        `${explanation} ${denied ? `The browser denied access. Open ${host} once, then try again.` : `They cannot be read: ${String(error).slice(0, 100)}.`}`,
      );
    }
  };
}
