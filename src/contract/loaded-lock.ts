/**
 * Each tab of the page, and each embedded frame, holds a Web Lock named after the model that it has loaded or is loading,
 * because the browser releases the locks of a tab that is closed or crashes. The name is a prefix, the model's id, a
 * slash, and the owner's id.
 */
import type { Bytes } from './ids.ts';
import { within } from './within.ts';

export const LOADED_LOCK_PREFIX = 'mixtab-loaded/';
/** The channel on which an owner says that its lock has changed. */
export const TABS_CHANNEL = 'mixtab-tabs';
/** Two models from this size on may be too much for a machine: the user is asked before a second one is loaded. */
export const LARGE_MODEL_BYTES: Bytes = 1e9;

/** A lock of another tab or frame. */
export interface OtherLock {
  name: string;
  modelId: string;
}

/** The lock that a tab or frame has while it looks whether another one has a model, and takes its own lock if not. */
const TURN = 'mixtab-loaded-turn';
/** How long a turn is waited for, in milliseconds. It takes some; a tab that was frozen in its turn loses it. */
const TURN_MS = 5000;
/** How long the browser may take to answer about locks, in milliseconds. A load does not wait longer for it. */
const CLAIM_MS = 20_000;

/** The lock of this tab or frame, and those of the others. Over http there are no locks. */
export class LoadedLock {
  readonly #owner: string;
  /** The model whose lock is held or requested. */
  #modelId: string | undefined;
  #granted: Promise<void> = Promise.resolve();
  /** How often {@link hold} was called. */
  #holds = 0;
  /** Each releases a lock that is held or requested. */
  readonly #releases = new Set<() => void>();

  /** @param owner an id that no other tab or frame has */
  constructor(owner: string) {
    this.#owner = owner;
  }

  /**
   * Takes the lock of `modelId`, and then releases that of the previous model, so that no one else finds none in between.
   * Resolves when it is held.
   */
  hold(modelId: string | undefined): Promise<void> {
    this.#holds++;
    if (modelId !== this.#modelId) {
      this.#modelId = modelId;
      this.#granted = this.#change(modelId, [...this.#releases]);
    }
    return this.#granted;
  }

  async #change(modelId: string | undefined, earlier: (() => void)[]): Promise<void> {
    if (modelId !== undefined && navigator.locks) await this.#take(modelId);
    for (const release of earlier) {
      release();
      this.#releases.delete(release);
    }
  }

  #take(modelId: string): Promise<void> {
    const released = new Promise<void>((release) => this.#releases.add(release));
    return new Promise((granted) => {
      const request = navigator.locks.request(`${LOADED_LOCK_PREFIX}${modelId}/${this.#owner}`, () => {
        granted();
        return released; // perhaps already, if another model was chosen before the browser granted this lock
      });
      request.catch(() => granted()); // the browser blocks locks together with storage
    });
  }

  /**
   * Takes the lock of `modelId` unless another tab or frame has a model. Of several that try at the same time, one at
   * most succeeds: they look one after another, and look again when they have their lock, in case one was robbed of its
   * turn. Whoever fails has the lock that it had before.
   * @param signal ends the attempt, which then fails
   * @returns whether it is held. Also true if the browser does not say what others have
   */
  async claim(modelId: string, signal?: AbortSignal): Promise<boolean> {
    if (!navigator.locks) return true;
    let isLate = false;
    const before = this.#modelId;
    const isAlone = async (): Promise<boolean> =>
      (await this.others()).length === 0 && !isLate && signal?.aborted !== true;
    const look = async (): Promise<boolean> => {
      if (!(await isAlone())) return false;
      const held = this.hold(modelId);
      const holds = this.#holds;
      await held;
      if (await isAlone()) return true;
      if (this.#holds === holds) await this.hold(before); // otherwise it is being loaded all the same
      return false;
    };
    try {
      return await within(CLAIM_MS, inTurn(look, signal), () => new Error('no answer in time'));
    } catch {
      isLate = true;
      return signal?.aborted !== true;
    }
  }

  /** The locks that others hold now. */
  async others(): Promise<OtherLock[]> {
    const { held = [] } = (await navigator.locks?.query()) ?? {};
    return held.flatMap(({ name = '', mode }) => {
      if (mode === 'shared') return []; // someone who waited for its release
      const [modelId, owner] = name.startsWith(LOADED_LOCK_PREFIX)
        ? name.slice(LOADED_LOCK_PREFIX.length).split('/')
        : [];
      return !modelId || owner === this.#owner ? [] : [{ name, modelId }];
    });
  }

  /**
   * Resolves once no one else holds a lock, and that of `modelId` is held.
   * @param signal ends the wait with a rejection
   */
  async claimAfterOthers(modelId: string, signal: AbortSignal): Promise<void> {
    do {
      for (let others = await this.others(); others.length > 0; others = await this.others())
        await Promise.all(others.map(({ name }) => released(name, signal)));
      signal.throwIfAborted();
    } while (!(await this.claim(modelId, signal)));
  }
}

/** Calls `work` while no other tab or frame does, or without its turn if that is not had in time. */
async function inTurn(work: () => Promise<boolean>, signal: AbortSignal | undefined): Promise<boolean> {
  let working: Promise<boolean> | undefined;
  const start = (): Promise<boolean> => {
    clearTimeout(patience);
    working ??= work();
    return working;
  };
  const controller = new AbortController();
  const end = (): void => controller.abort();
  const patience = setTimeout(end, TURN_MS);
  signal?.addEventListener('abort', end);
  try {
    await navigator.locks.request(TURN, { signal: controller.signal }, start);
  } catch (error) {
    if (working) return working; // robbed of its turn
    if (signal?.aborted) return false;
    if (!controller.signal.aborted) throw error;
    await navigator.locks.request(TURN, { steal: true }, start).catch((blocked: unknown) => {
      if (!working) throw blocked;
    });
  } finally {
    clearTimeout(patience);
    signal?.removeEventListener('abort', end);
  }
  return working ?? false;
}

/** Resolves once a lock is free. A tab that is closed or crashes sends no message, so this queues for its lock. */
export async function released(lock: string, signal?: AbortSignal): Promise<void> {
  await navigator.locks.request(lock, { mode: 'shared', ...(signal && { signal }) }, () => {});
}
