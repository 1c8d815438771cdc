/**
 * Keeps the engine's KV cache of conversations on the disk. After a reload, or after a visit to another conversation,
 * only new tokens need prefill. No answer depends on it: if saving or restoring fails, the prompt is computed again.
 *
 * Saved: when another conversation is opened, before the model is unloaded, when the page is hidden, and some
 * seconds after an answer. Restored: when a conversation is opened, and at the latest before an answer in it.
 */

import { effect, untracked } from '@preact/signals';
import type { EngineApi } from '../../contract/engine-api.ts';
import { type ErrorCode, errorToData, MixtabError } from '../../contract/errors.ts';
import type { ImportApi, StoredSession } from '../../contract/import-api.ts';
import { conversations, currentId } from '../state/conversations.ts';
import { storedSessions } from '../state/disk.ts';
import { experiment, generating } from '../state/generation.ts';
import { loaded, loading } from '../state/models.ts';
import { problem } from '../state/notices.ts';
import { settings } from '../state/settings.ts';
import { unsavedConversations } from '../state/storage-health.ts';
import { report } from './problems.ts';
import { SerialQueue } from './serial-queue.ts';

/**
 * Delay from an answer to its save. A save writes the whole cache, so quick successive answers are saved once.
 */
const SAVE_DELAY_MS = 10_000;
/** Delay from opening a conversation to its restore. Conversations that are opened only briefly are not restored. */
const RESTORE_DELAY_MS = 400;

/** The calls that sessions need from the workers. */
export interface SessionClients {
  engine: Pick<EngineApi, 'saveSession' | 'restoreSession' | 'stop'>;
  importer: Pick<ImportApi, 'sessions' | 'removeSessions'>;
}

/** Saves and restores KV caches as the user switches between conversations. */
export class Sessions {
  readonly #engine: SessionClients['engine'];
  readonly #importer: SessionClients['importer'];
  /** All saves, restores and removals: one after another. */
  readonly #queue = new SerialQueue((error) => this.#onFailure(error));
  /** Id of the conversation whose keys and values the engine's cache holds. */
  #cacheOwner: string | undefined;
  /** The cache holds tokens that the disk does not. */
  #unsaved = false;
  /** Id of the conversation that the timer is saving. An answer in it stops that save instead of waiting. */
  #savingIdly: string | undefined;
  #saveTimer: ReturnType<typeof setTimeout> | undefined;
  /** A storage error was shown already. */
  #notified = false;

  constructor({ engine, importer }: SessionClients) {
    this.#engine = engine;
    this.#importer = importer;
  }

  /**
   * Starts to save and restore as the page's state changes. Conversations and settings must be loaded.
   * @returns a function that stops it
   */
  start(): () => void {
    void this.#queue.add(async () => {
      await this.#refresh();
      // The conversation may have been deleted just before the page was closed.
      await this.#remove(({ id }) => !conversations.value.some((conversation) => conversation.id === id));
    });
    const onVisibility = (): void => {
      if (document.visibilityState === 'hidden') void this.#queue.add(() => this.#save());
    };
    document.addEventListener('visibilitychange', onVisibility);
    const ends = [
      effect(() => this.#followModel()),
      effect(() => this.#followCurrent()),
      effect(this.#deletionFollower()),
      effect(() => this.#followSettings()),
      () => document.removeEventListener('visibilitychange', onVisibility),
      () => clearTimeout(this.#saveTimer),
    ];
    return () => {
      for (const end of ends) end();
    };
  }

  /** Before an answer: fills the cache with this conversation's session, if one is stored. */
  async prepare(id: string): Promise<void> {
    clearTimeout(this.#saveTimer);
    if (this.#savingIdly === id) void this.#engine.stop();
    await this.#queue.add(() => this.#switchTo(id));
  }

  /** After an answer: the cache now belongs to this conversation and will be saved. */
  answered(id: string): void {
    if (!conversations.value.some((conversation) => conversation.id === id)) return; // deleted during the answer
    this.#cacheOwner = id;
    this.#unsaved = true;
    clearTimeout(this.#saveTimer);
    this.#saveTimer = setTimeout(() => void this.#queue.add(() => this.#saveIdly()), SAVE_DELAY_MS);
  }

  /** Saves unsaved tokens now. Call it before the model is unloaded. */
  async save(): Promise<void> {
    clearTimeout(this.#saveTimer);
    await this.#queue.add(() => this.#save());
  }

  /**
   * Saves unsaved tokens; the cache then belongs to no conversation. Call it before an experiment overwrites the cache.
   */
  async releaseCache(): Promise<void> {
    await this.save();
    this.#forgetCache();
  }

  /** Removes all stored sessions. */
  clear(): Promise<void> {
    return this.#queue.add(() => this.#remove(() => true));
  }

  /** Reads the list again. Call it after a model was removed, because its sessions are removed with it. */
  refresh(): Promise<void> {
    return this.#queue.add(() => this.#refresh());
  }

  #forgetCache(): void {
    this.#cacheOwner = undefined;
    this.#unsaved = false;
  }

  #followModel(): void {
    if (!loaded.value) this.#forgetCache();
  }

  /** Switches to the conversation on the page once it has been there for a while and the engine is idle. */
  #followCurrent(): () => void {
    const id = currentId.value;
    const idle = loaded.value && !loading.value && !generating.value && !experiment.value;
    const timer =
      idle && id !== undefined && id !== this.#cacheOwner
        ? setTimeout(() => void this.#queue.add(() => this.#switchTo(id)), RESTORE_DELAY_MS)
        : undefined;
    return () => clearTimeout(timer);
  }

  /** @returns an effect that removes the sessions of deleted conversations */
  #deletionFollower(): () => void {
    let before = new Set<string>();
    return () => {
      const now = new Set(conversations.value.map(({ id }) => id));
      const deleted = [...before].filter((id) => !now.has(id));
      before = now;
      if (deleted.length === 0) return;
      if (this.#cacheOwner !== undefined && deleted.includes(this.#cacheOwner)) this.#unsaved = false;
      untracked(() => {
        void this.#queue.add(async () => {
          await this.#refresh(); // another tab may have saved it since
          await this.#remove(({ id }) => deleted.includes(id));
        });
      });
    };
  }

  #followSettings(): void {
    const { keepSessions, sessionBudgetMegabytes } = settings.value;
    this.#notified = false;
    void this.#queue.add(() => this.#trim(keepSessions ? sessionBudgetMegabytes * 1e6 : 0));
  }

  // ---------------------------------------------------------------- jobs of the queue

  /** Saves the cache of the conversation before, and restores that of conversation `id` if it is stored. */
  async #switchTo(id: string): Promise<void> {
    if (this.#cacheOwner === id || !loaded.value || !settings.value.keepSessions) return;
    await this.#save();
    await this.#refresh();
    const modelId = loaded.value?.summary.id;
    if (!storedSessions.value.some((session) => session.id === id && session.modelId === modelId)) return;
    const tokens = await this.#engine.restoreSession(id);
    if (tokens > 0) this.#cacheOwner = id;
    else await this.#refresh(); // it did not fit into the context, and the engine removed it
  }

  async #saveIdly(): Promise<void> {
    this.#savingIdly = this.#cacheOwner;
    try {
      await this.#save();
    } finally {
      this.#savingIdly = undefined;
    }
  }

  async #save(): Promise<void> {
    const { keepSessions, sessionBudgetMegabytes } = settings.value;
    if (this.#cacheOwner === undefined || !this.#unsaved || !keepSessions || !loaded.value) return;
    if (unsavedConversations.value) return; // there is no space even for what the user wrote
    this.#unsaved = false;
    const id = this.#cacheOwner;
    try {
      const bytes = await this.#engine.saveSession(id, sessionBudgetMegabytes * 1e6);
      // It may be possible later: once the import of the model has ended, or with a larger budget.
      if (bytes === 0 && conversations.value.some((conversation) => conversation.id === id)) this.#unsaved = true;
    } catch (error) {
      // The cache can be saved later. After an error of the storage it is not tried again: the disk would still be full.
      this.#unsaved = !isOfStorage(errorToData(error).code);
      throw error;
    } finally {
      await this.#refresh();
    }
  }

  async #refresh(): Promise<void> {
    storedSessions.value = await this.#importer.sessions();
  }

  async #remove(matches: (session: StoredSession) => boolean): Promise<void> {
    const ids = storedSessions.value.filter(matches).map(({ id }) => id);
    if (ids.length === 0) return;
    await this.#importer.removeSessions(ids);
    await this.#refresh();
  }

  /** Removes the oldest sessions until the others take at most `budget` bytes. */
  async #trim(budget: number): Promise<void> {
    let bytes = storedSessions.value.reduce((sum, session) => sum + session.bytes, 0);
    await this.#remove((session) => {
      const exceeds = bytes > budget;
      if (exceeds) bytes -= session.bytes;
      return exceeds;
    });
  }

  /**
   * Reports a storage error once, until the settings change, and in place of no other error: the cache is dispensable.
   * Other errors are always reported.
   */
  #onFailure(error: unknown): void {
    const { code } = errorToData(error);
    // An answer stopped the save, or the engine is busy with something else: there will be another save.
    if (code === 'aborted' || code === 'busy' || code === 'no-model-loaded') return;
    // Nothing was being computed, for example in sleep. The next answer loads the model again.
    if (code === 'webgpu-device-lost') return;
    if (!isOfStorage(code)) {
      report(error);
      return;
    }
    if (this.#notified || unsavedConversations.value || problem.value) return;
    this.#notified = true;
    const cause =
      code === 'storage-full'
        ? 'The disk is full, so the conversation cache was not saved'
        : 'The browser did not save the conversation cache';
    report(
      new MixtabError(
        code,
        `${cause}. Your conversations are safe.`,
        'To free space, delete a model, or lower the limit of the conversation cache in the settings.',
      ),
    );
  }
}

const isOfStorage = (code: ErrorCode): boolean => code === 'storage-full' || code === 'storage-unavailable';
