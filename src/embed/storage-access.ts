/**
 * Tells the user of a frame where its models lie, and offers those of the site itself. All browsers have Storage Access for cookies;
 * a handle to IndexedDB, which is what models need, is given by Chromium only, and to the window only.
 */
import type { SiteStore } from '../contract/site-store.ts';
import { openSiteModels } from './site-models.ts';

interface StorageAccessHandle {
  readonly indexedDB: IDBFactory;
}

/** As Chromium has it; others take no argument and give nothing. */
type RequestAccess = (types: { indexedDB: true }) => Promise<StorageAccessHandle | undefined>;

/** @param use called with what the user let the frame read */
export function offerSiteModels(embedder: string, use: (siteStore: SiteStore) => void): void {
  const { hostname, host } = location;
  if (new URL(embedder).hostname === hostname) return; // ports do not make another site
  const [storage, button] = [document.getElementById('storage'), document.getElementById('site-models')];
  if (!storage || !button) return;
  const say = (text: string): void => {
    storage.textContent = text;
  };
  const apart = `The browser keeps what is stored here apart for ${new URL(embedder).host}: models you have on ${host} itself are not among it.`;
  say(apart);
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
        say(`${apart} This browser gives frames no way to them: import one here.`);
        return;
      }
      const siteStore = await openSiteModels(handle.indexedDB);
      const count = (await siteStore?.models())?.length ?? 0;
      if (!siteStore || count === 0) {
        say(`${apart} There are none in its database, either.`);
        return;
      }
      use(siteStore);
      say(
        `${count === 1 ? 'One model' : `${count} models`} of ${host} can be used here too; they are read, never changed.`,
      );
    } catch (error) {
      const denied = error instanceof DOMException && error.name === 'NotAllowedError';
      say(
        `${apart} ${denied ? 'The browser did not allow more: it may want you to have used that page before.' : `They cannot be read: ${String(error)}.`}`,
      );
    }
  };
}
