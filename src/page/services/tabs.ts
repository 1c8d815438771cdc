/** Other tabs with this page, and frames of it: which models they have loaded, as their locks say. */
import { computed, effect } from '@preact/signals';
import { MixtabError } from '../../contract/errors.ts';
import { LARGE_MODEL_BYTES, LoadedLock, released, TABS_CHANNEL } from '../../contract/loaded-lock.ts';
import { mostMemory } from '../state/compute.ts';
import { loaded, loadedElsewhere, loading, requestedId } from '../state/models.ts';
import { newId } from '../state/new-id.ts';

/** Id of the model that this tab reads from the store: another tab must not delete it, during a load either. */
const modelInUse = computed(() => (loading.value ? requestedId.value : loaded.value?.summary.id));

/** This tab's lock and its channel to the other tabs. */
export class Tabs {
  readonly #lock = new LoadedLock(newId());
  #channel: BroadcastChannel | undefined;
  /** Names of other tabs' locks whose release this tab waits for. */
  readonly #watched = new Set<string>();

  /** @param onChange called when another tab has imported or removed a model */
  start(onChange: () => void): void {
    if (!navigator.locks) return; // the page was loaded over http: tabs do not know of each other
    this.#channel = new BroadcastChannel(TABS_CHANNEL);
    this.#channel.onmessage = () => {
      void this.refresh();
      onChange();
    };
    effect(() => void this.#lockModel(modelInUse.value));
    void this.refresh();
  }

  /** Makes the other tabs refresh what they know of locks and models. */
  notify(): void {
    this.#channel?.postMessage('changed');
  }

  /** Updates `loadedElsewhere`. */
  async refresh(): Promise<void> {
    const others = await this.#lock.others();
    for (const { name } of others) void this.#refreshAfterReleaseOf(name);
    loadedElsewhere.value = others.map(({ modelId }) => modelId);
  }

  /**
   * Takes this tab's lock for a model, unless that takes so much memory that the user should decide about loading it
   * beside another tab's. Of several tabs that try at the same time, one succeeds.
   * @returns whether to load it
   */
  async claim({ id, storedBytes }: { id: string; storedBytes: number }): Promise<boolean> {
    if (mostMemory(storedBytes) < LARGE_MODEL_BYTES || (await this.#lock.claim(id))) return true;
    await this.refresh();
    return false;
  }

  async #refreshAfterReleaseOf(lock: string): Promise<void> {
    if (this.#watched.has(lock)) return;
    this.#watched.add(lock);
    await released(lock);
    this.#watched.delete(lock);
    await this.refresh();
  }

  /**
   * @throws MixtabError `busy` if another tab has loaded the model or is loading it, because that tab reads it from the store
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

  async #lockModel(modelId: string | undefined): Promise<void> {
    await this.#lock.hold(modelId);
    this.notify();
  }
}
