/**
 * Other tabs with this page: which models they have on the GPU. Told by locks, since a tab that is closed or crashes gives its
 * own back by itself.
 */
import { effect, signal } from '@preact/signals';
import { MixtabError } from '../../contract/errors.ts';
import { newId } from '../state/new-id.ts';
import { loaded } from '../state/state.ts';

const PREFIX = 'mixtab-loaded/';
const SELF = newId();

/** Ids of the models that other tabs have loaded. */
export const loadedElsewhere = signal<string[]>([]);

let channel: BroadcastChannel | undefined;
let release = (): void => {};

/** @param onChange another tab has imported or removed a model */
export function startTabs(onChange: () => void): void {
  if (!navigator.locks) return; // not over https: nothing is loaded either
  channel = new BroadcastChannel('mixtab-tabs');
  channel.onmessage = () => {
    void refreshTabs();
    onChange();
  };
  document.addEventListener('visibilitychange', () => void refreshTabs()); // a closed tab says no farewell
  effect(() => void holdModelLock(loaded.value?.summary.id));
  void refreshTabs();
}

/** Tells other tabs to look again. */
export const notifyTabs = (): void => channel?.postMessage('changed');

export async function refreshTabs(): Promise<void> {
  const { held = [] } = (await navigator.locks?.query()) ?? {};
  loadedElsewhere.value = held.flatMap(({ name = '' }) => {
    const [modelId, tab] = name.startsWith(PREFIX) ? name.slice(PREFIX.length).split('/') : [];
    return modelId && tab !== SELF ? [modelId] : [];
  });
}

/** @throws MixtabError `busy` where another tab has the model loaded: it reads its experts from the store */
export async function requireUnusedElsewhere(model: { id: string; name: string }): Promise<void> {
  await refreshTabs();
  if (!loadedElsewhere.value.includes(model.id)) return;
  throw new MixtabError(
    'busy',
    `${model.name} is in use in another tab.`,
    'Close that tab, or choose another model there.',
  );
}

/** Holds the lock of the model that is loaded here, until another one is. */
async function holdModelLock(modelId: string | undefined): Promise<void> {
  release();
  release = () => {};
  if (modelId !== undefined) {
    await new Promise<void>((held) => {
      void navigator.locks.request(`${PREFIX}${modelId}/${SELF}`, () => {
        held();
        return new Promise<void>((done) => {
          release = done;
        });
      });
    });
  }
  notifyTabs();
}
