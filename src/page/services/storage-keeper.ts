/**
 * Keeps what the user writes on the disk. If it cannot be stored, dispensable data is deleted first, and then the user
 * is asked for help. If the browser has deleted it, it is stored again.
 */
import { effect, untracked } from '@preact/signals';
import { isDiskFull, isUnexplained } from '../../contract/disk-full.ts';
import { type ErrorData, errorToData, MixtabError } from '../../contract/errors.ts';
import { keepToken } from '../state/access-token.ts';
import { isWorthKeeping } from '../state/conversation-tree.ts';
import { checkStored, current, saveAgain } from '../state/conversations.ts';
import { disk, storedSessions } from '../state/disk.ts';
import { generating } from '../state/generation.ts';
import { isNotAnswering } from '../state/patient-read.ts';
import { saveAllSettings, saveSettings } from '../state/settings.ts';
import {
  diskWasFull,
  restoredConversations,
  saveFailure,
  unsavedConversations,
  unsavedSettings,
} from '../state/storage-health.ts';
import { askOnceToPersist, refreshDisk } from './disk-space.ts';
import type { Sessions } from './sessions.ts';

/** How often the page checks that the browser has not deleted its data, in milliseconds. */
const CHECK_EVERY_MS = 60_000;

/** How long to wait for the browser to say how full the disk is before a failure is shown, in milliseconds. */
const PATIENCE_MS = 2000;

/** What the keeper needs from the rest of the page. */
export interface StorageKeeperDependencies {
  sessions: Pick<Sessions, 'clear'>;
  /** Called after the browser has deleted everything. */
  onRestored: () => void;
}

/** Watches whether conversations and settings are stored. */
export class StorageKeeper {
  readonly #sessions: StorageKeeperDependencies['sessions'];
  readonly #onRestored: () => void;
  #isHandling = false;
  /** The disk was full when a change could last not be stored. A browser names the cause once, and no more afterwards. */
  #isFull = false;

  constructor({ sessions, onRestored }: StorageKeeperDependencies) {
    this.#sessions = sessions;
    this.#onRestored = onRestored;
  }

  /** Starts to watch. @returns a function that stops it */
  start(): () => void {
    void refreshDisk();
    const check = (): void => {
      if (document.visibilityState === 'visible') void checkStored();
    };
    document.addEventListener('visibilitychange', check);
    const timer = setInterval(check, CHECK_EVERY_MS);
    const ends = [
      effect(() => this.#followFailures()),
      effect(() => this.#followRestored()),
      effect(persistenceAsker()),
      () => document.removeEventListener('visibilitychange', check),
      () => clearInterval(timer),
    ];
    return () => {
      for (const end of ends) end();
    };
  }

  /** Tries again to store everything. Never rejects. */
  async tryAgain(): Promise<void> {
    await Promise.all([saveAgain(), saveSettings()]);
  }

  #followFailures(): void {
    if (unsavedConversations.value ?? unsavedSettings.value) {
      untracked(() => void this.#handleFailure());
      return;
    }
    if (this.#isFull && saveFailure.peek()) diskWasFull.value = true;
    saveFailure.value = undefined;
    this.#isFull = false;
  }

  /** If the disk is full, saved sessions go before anything that the user wrote, because they only save time. */
  async #handleFailure(): Promise<void> {
    if (this.#isHandling) return;
    this.#isHandling = true;
    try {
      await Promise.race([refreshDisk(), new Promise((resolve) => setTimeout(resolve, PATIENCE_MS))]);
      const first = unsaved();
      if (first && this.#saysFull(first) && storedSessions.value.length > 0) {
        await this.#sessions.clear();
        await this.tryAgain();
      }
    } finally {
      this.#isHandling = false;
    }
    const error = unsaved();
    if (error) saveFailure.value = failureData(error, this.#saysFull(error));
  }

  #saysFull(error: Error): boolean {
    this.#isFull = isFull(error) || (this.#isFull && isUnexplained(error));
    return this.#isFull;
  }

  #followRestored(): void {
    if (restoredConversations.value === 0) return;
    untracked(() => {
      void saveAllSettings();
      keepToken();
      this.#onRestored();
    });
  }
}

/** Why the newest changes are not stored; undefined if they are. */
const unsaved = (): Error | undefined => unsavedConversations.peek() ?? unsavedSettings.peek();

/** Decided with what the browser said last about the disk. */
function isFull(error: Error): boolean {
  const state = disk.peek();
  return isDiskFull(error, state && Math.max(0, state.quotaBytes - state.usedBytes));
}

const failureData = (error: Error, diskIsFull: boolean): ErrorData => errorToData(failureOf(error, diskIsFull));

function failureOf(error: Error, diskIsFull: boolean): MixtabError {
  if (diskIsFull)
    return new MixtabError(
      'storage-full',
      'The disk is full, so your latest changes are not saved.',
      'Delete a model, free some disk space, or export your conversations.',
    );
  if (isNotAnswering(error))
    return new MixtabError(
      'storage-unavailable',
      "The browser's database does not answer, so your latest changes are not saved.",
      'Keep this page open and export your conversations. Then restart the browser.',
    );
  return new MixtabError(
    'storage-unavailable',
    `The browser does not save your latest changes (${error.name}).`,
    'Keep this page open and export your conversations. Then free disk space, or allow this page to store data.',
  );
}

/** @returns an effect that asks the browser to keep the data, at the end of an answer in a conversation worth keeping */
function persistenceAsker(): () => void {
  let wasGenerating = false;
  return () => {
    const ended = wasGenerating && !generating.value;
    wasGenerating = generating.value;
    if (ended && untracked(() => current.value && isWorthKeeping(current.value))) void askOnceToPersist();
  };
}
