/**
 * What the model has read of a conversation (the engine's KV cache), kept on the disk: after a reload or a look at
 * another conversation only what is new has to be read. Nothing here is needed for an answer, so a failure costs time only.
 *
 * Saved: when another conversation is opened, before the model leaves the GPU, when the page is hidden, and when nothing
 * was written for a while. Restored: when a conversation is opened, at the latest before an answer.
 */
import { effect, untracked } from '@preact/signals';
import { errorToData, MixtabError } from '../../contract/errors.ts';
import type { StoredSession } from '../../contract/import-api.ts';
import { conversations, currentId } from '../state/conversations.ts';
import { settings } from '../state/settings.ts';
import { experiment, generating, loaded, loading, sessions } from '../state/state.ts';
import { report } from './problems.ts';
import { engine, importer } from './workers.ts';

/** A session is written whole, so not after each answer of a lively conversation. */
const IDLE_MS = 10_000;
/** Who leafs through conversations does not want each of them. */
const LOOK_MS = 400;

/** Whose words the engine's cache holds. */
let cacheOwner: string | undefined;
/** The cache holds more than the disk. */
let unsaved = false;
/** The conversation that is being saved because nothing else was to do: an answer need not wait for that. */
let savingIdly: string | undefined;
/** The user knows that the disk is full. */
let notified = false;
/** One thing after another; never rejects. */
let work: Promise<void> = Promise.resolve();
let idle: ReturnType<typeof setTimeout> | undefined;

function queued(job: () => Promise<void>): Promise<void> {
  work = work.then(job).catch(failed);
  return work;
}

function failed(error: unknown): void {
  const { code } = errorToData(error);
  // Stopped for something better to do, or overtaken by it: there will be another time.
  if (code === 'aborted' || code === 'busy' || code === 'no-model-loaded') return;
  if (code !== 'storage-full' && code !== 'storage-unavailable') {
    report(error);
    return;
  }
  if (notified) return;
  notified = true;
  report(
    new MixtabError(
      code,
      code === 'storage-full'
        ? 'The disk is full: what the model has read is not kept.'
        : 'The browser does not keep what the model has read.',
      'No conversation is lost; after a reload it is read again. To make room remove a model, or lower the disk for conversations in the settings.',
    ),
  );
}

/** Once conversations and settings are there. */
export function startSessions(): void {
  void queued(async () => {
    await refresh();
    await drop(({ id }) => !conversations.value.some((conversation) => conversation.id === id)); // deleted in the last moment
  });
  effect(() => {
    if (loaded.value) return;
    cacheOwner = undefined;
    unsaved = false;
  });
  effect(lookAtCurrent);
  effect(followDeletions());
  effect(() => {
    const { keepSessions, sessionBudgetMegabytes } = settings.value;
    notified = false;
    void queued(() => trim(keepSessions ? sessionBudgetMegabytes * 1e6 : 0));
  });
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'hidden') void queued(save);
  });
}

/** Another conversation is on the page: the one before is saved, and this one restored. */
function lookAtCurrent(): () => void {
  const id = currentId.value;
  const free = loaded.value && !loading.value && !generating.value && !experiment.value;
  const timer =
    free && id !== undefined && id !== cacheOwner
      ? setTimeout(() => void queued(() => turnTo(id)), LOOK_MS)
      : undefined;
  return () => clearTimeout(timer);
}

function followDeletions(): () => void {
  let before = new Set<string>();
  return () => {
    const now = new Set(conversations.value.map(({ id }) => id));
    const gone = [...before].filter((id) => !now.has(id));
    before = now;
    if (gone.length === 0) return;
    if (cacheOwner !== undefined && gone.includes(cacheOwner)) unsaved = false;
    untracked(() => {
      void queued(async () => {
        await refresh(); // another tab may have saved it
        await drop(({ id }) => gone.includes(id));
      });
    });
  };
}

/** Before an answer: the cache is this conversation's, as far as it was kept. */
export async function prepareSession(id: string): Promise<void> {
  clearTimeout(idle);
  if (savingIdly === id) void engine.stop();
  await queued(() => turnTo(id));
}

/** After an answer. */
export function answered(id: string): void {
  if (!conversations.value.some((conversation) => conversation.id === id)) return; // deleted meanwhile
  cacheOwner = id;
  unsaved = true;
  clearTimeout(idle);
  idle = setTimeout(() => void queued(saveIdly), IDLE_MS);
}

/** Before the model leaves the GPU. */
export async function leaveModel(): Promise<void> {
  clearTimeout(idle);
  await queued(save);
}

/** Removes all that is kept. */
export const clearSessions = (): Promise<void> => queued(() => drop(() => true));

/** Before something else than a conversation fills the cache: what is not saved is, then the cache is nobody's. */
export async function leaveCache(): Promise<void> {
  await leaveModel();
  cacheOwner = undefined;
  unsaved = false;
}

async function turnTo(id: string): Promise<void> {
  if (cacheOwner === id || !loaded.value || !settings.value.keepSessions) return;
  await save();
  await refresh();
  if (sessions.value.some((session) => session.id === id && session.modelId === loaded.value?.summary.id)) {
    if ((await engine.restoreSession(id)) > 0) cacheOwner = id;
    else await refresh(); // it did not fit, and is gone
  }
}

async function saveIdly(): Promise<void> {
  savingIdly = cacheOwner;
  try {
    await save();
  } finally {
    savingIdly = undefined;
  }
}

async function save(): Promise<void> {
  const { keepSessions, sessionBudgetMegabytes } = settings.value;
  if (cacheOwner === undefined || !unsaved || !keepSessions || !loaded.value) return;
  unsaved = false;
  try {
    await engine.saveSession(cacheOwner, sessionBudgetMegabytes * 1e6);
  } catch (error) {
    // Not lost yet, as long as the cache is there; a full disk would be as full the next time.
    unsaved = errorToData(error).code !== 'storage-full';
    throw error;
  } finally {
    await refresh();
  }
}

/** After the store changed by itself: sessions go with their model. */
export const refreshSessions = (): Promise<void> => queued(refresh);

async function refresh(): Promise<void> {
  sessions.value = await importer.sessions();
}

async function drop(which: (session: StoredSession) => boolean): Promise<void> {
  const ids = sessions.value.filter(which).map(({ id }) => id);
  if (ids.length === 0) return;
  await importer.removeSessions(ids);
  await refresh();
}

/** Removes the oldest until the rest takes at most so many bytes. */
async function trim(budget: number): Promise<void> {
  let bytes = sessions.value.reduce((sum, session) => sum + session.bytes, 0);
  await drop((session) => {
    const goes = bytes > budget;
    if (goes) bytes -= session.bytes;
    return goes;
  });
}
