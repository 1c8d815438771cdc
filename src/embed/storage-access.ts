/**
 * Explains to the user of a frame which storage it uses, and offers the models of the site itself. All browsers have
 * the Storage Access API for cookies. Only Chromium also gives a handle to the database and the private files, which
 * models need, and only to the window.
 */
import type { SiteStore } from '../contract/site-store.ts';
import { onDeliberateClick } from './deliberate-click.ts';
import { openSiteModels } from './site-models.ts';

interface StorageAccessHandle {
  readonly indexedDB: IDBFactory;
  /** Root of the site's private files. */
  getDirectory?(): Promise<FileSystemDirectoryHandle>;
}

/** Chromium's signature. Other browsers take no argument and return no handle. */
type RequestAccess = (types: { indexedDB: true; getDirectory: true }) => Promise<StorageAccessHandle | undefined>;

/**
 * Shows the explanation and the button of embed.html, unless the frame belongs to the same site as its embedder.
 * @param embedder origin of the embedding page
 * @param use called when the user has allowed the frame to read the site's models
 */
export function offerSiteModels(embedder: string, use: (siteStore: SiteStore) => void): void {
  const { hostname, host } = location;
  if (new URL(embedder).hostname === hostname) return; // the same site: ports do not matter
  const [storage, button] = [document.getElementById('storage'), document.getElementById('site-models')];
  if (!storage || !(button instanceof HTMLButtonElement)) return;
  const explanation =
    'The browser keeps separate storage for each embedding site: ' +
    `the models that you have on ${host} are not available on ${new URL(embedder).host}.`;
  const explain = (...more: string[]): void => {
    storage.textContent = [explanation, ...more].join(' ');
  };
  explain();
  storage.hidden = false;
  const request = (document as { requestStorageAccess?: RequestAccess }).requestStorageAccess;
  if (!request) return;
  button.textContent = `Use the models I have on ${host}`;
  button.hidden = false;
  const useSiteModels = async (): Promise<void> => {
    try {
      const handle = await request.call(document, { indexedDB: true, getDirectory: true });
      button.hidden = true;
      if (!handle?.indexedDB) {
        explain('This browser cannot share them with a frame.', 'Import a model here.');
        return;
      }
      const siteStore = await openSiteModels(handle.indexedDB, handle.getDirectory && (() => handle.getDirectory!()));
      const count = (await siteStore?.models())?.length ?? 0;
      if (!siteStore || count === 0) {
        explain(`${host} has no models that can be used here.`);
        return;
      }
      use(siteStore);
      const models = count === 1 ? 'One model' : `${count} models`;
      storage.textContent = `${models} of ${host} can now be used here. This page cannot change them.`;
    } catch (error) {
      explain(accessFailure(error));
    }
  };
  onDeliberateClick(button, () => void useSiteModels());
}

function accessFailure(error: unknown): string {
  if (error instanceof DOMException && error.name === 'NotAllowedError')
    return `The browser denied access. Open ${location.host} once, then try again.`;
  return `They cannot be read: ${String(error).slice(0, 100)}.`;
}
