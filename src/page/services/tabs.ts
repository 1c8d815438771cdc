/** Other tabs with this page: which models they have loaded, as their locks say. */
import { effect } from '@preact/signals';
import { MixtabError } from '../../contract/errors.ts';
import { LOADED_LOCK_PREFIX } from '../../contract/loaded-lock.ts';
import { loaded, loadedElsewhere } from '../state/models.ts';
import { newId } from '../state/new-id.ts';

/** Two models from this size on may be too much for a machine. */
const LARGE_BYTES = 1e9;

/** This tab's lock and its channel to the other tabs. */
export class Tabs {
  readonly #tabId = newId();
  #channel: BroadcastChannel | undefined;
  /** Names of other tabs' locks whose release this tab waits for. */
  readonly #watched = new Set<string>();
  /** Releases the lock that this tab holds. */
  #releaseLock = (): void => {};

  /** @param onChange called when another tab has imported or removed a model */
  start(onChange: () => void): void {
    if (!navigator.locks) return; // the page was loaded over http: tabs do not know of each other
    this.#channel = new BroadcastChannel('mixtab-tabs');
    this.#channel.onmessage = () => {
      void this.refresh();
      onChange();
    };
    effect(() => void this.#lockModel(loaded.value?.summary.id));
    void this.refresh();
  }

  /** Makes the other tabs refresh what they know of locks and models. */
  notify(): void {
    this.#channel?.postMessage('changed');
  }

  /** Updates `loadedElsewhere`. */
  async refresh(): Promise<void> {
    const { held = [] } = (await navigator.locks?.query()) ?? {};
    loadedElsewhere.value = held.flatMap(({ name = '' }) => {
      const [modelId, tabId] = name.startsWith(LOADED_LOCK_PREFIX)
        ? name.slice(LOADED_LOCK_PREFIX.length).split('/')
        : [];
      if (!modelId || tabId === this.#tabId) return [];
      void this.#refreshAfterReleaseOf(name);
      return [modelId];
    });
  }

  /** Whether a model is so large that the user should decide about loading it beside another tab's. */
  async takesTooMuchBesideOthers({ storedBytes }: { storedBytes: number }): Promise<boolean> {
    if (storedBytes < LARGE_BYTES) return false;
    await this.refresh();
    return loadedElsewhere.value.length > 0;
  }

  /** A tab that is closed or crashes sends no message, so this tab queues for its lock. */
  async #refreshAfterReleaseOf(lock: string): Promise<void> {
    if (this.#watched.has(lock)) return;
    this.#watched.add(lock);
    await navigator.locks.request(lock, { mode: 'shared' }, () => {});
    this.#watched.delete(lock);
    await this.refresh();
  }

  /**
   * @throws MixtabError `busy` if another tab has the model loaded, because that tab still reads experts from the store
   */
  async requireUnusedElsewhere(model: { id: string; name: string }): Promise<void> {
    await this.refresh();
    if (!loadedElsewhere.value.includes(model.id)) return;
    throw new MixtabError(
      'busy',
      `${model.name} is in use in another tab.`,
      'Close that tab, or choose another model there.',
    );
  }

  /** Releases the lock of the previous model and takes that of `modelId`. */
  async #lockModel(modelId: string | undefined): Promise<void> {
    this.#releaseLock();
    this.#releaseLock = () => {};
    if (modelId !== undefined) {
      await new Promise<void>((granted) => {
        void navigator.locks.request(`${LOADED_LOCK_PREFIX}${modelId}/${this.#tabId}`, () => {
          granted();
          // The lock is held until this promise resolves.
          return new Promise<void>((resolve) => {
            this.#releaseLock = resolve;
          });
        });
      });
    }
    this.notify();
  }
}
