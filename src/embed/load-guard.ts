/** Asks before a frame loads a large model beside that of another tab or frame: they share the machine's memory. */
import { MixtabError, throwIfAborted } from '../contract/errors.ts';
import { formatBytes } from '../contract/format-bytes.ts';
import type { ModelSummary } from '../contract/import-api.ts';
import { LARGE_MODEL_BYTES, type LoadedLock } from '../contract/loaded-lock.ts';
import type { Question } from './question.ts';

/** What the guard needs from the frame. */
export interface LoadGuardOptions {
  list(): Promise<Pick<ModelSummary, 'id' | 'name' | 'storedBytes'>[]>;
  locks: Pick<LoadedLock, 'others' | 'othersReleased'>;
  /** Asks the user in the frame. Resolves with false if the user declines, or cannot be asked. */
  confirm(question: Question, signal: AbortSignal): Promise<boolean>;
}

/**
 * @returns a function that is called before each load. It resolves if the model is small, if no other tab or frame has
 *   one, or once the user allows it or the others are closed. A model is allowed until the frame is closed.
 */
export function guardLoads({ list, locks, confirm }: LoadGuardOptions) {
  const allowed = new Set<string>();
  return async (modelId: string, signal: AbortSignal | undefined): Promise<void> => {
    const model = (await list()).find(({ id }) => id === modelId);
    if (!model || model.storedBytes < LARGE_MODEL_BYTES || allowed.has(modelId)) return;
    if ((await locks.others()).length === 0) return;
    const wait = new AbortController();
    const end = (): void => wait.abort();
    signal?.addEventListener('abort', end);
    try {
      const isAllowed = await Promise.race([
        confirm(questionFor(model), wait.signal),
        locks.othersReleased(wait.signal).then(
          () => true,
          () => false,
        ),
      ]);
      throwIfAborted(signal);
      if (!isAllowed) throw loadedElsewhere(model);
      allowed.add(modelId);
    } finally {
      end();
      signal?.removeEventListener('abort', end);
    }
  };
}

const questionFor = ({ name, storedBytes }: Pick<ModelSummary, 'name' | 'storedBytes'>): Question => ({
  text:
    'Another tab of mixtab has a model in memory. ' +
    `${name} would take up to ${formatBytes(storedBytes)} beside it. If you close that tab, it is loaded here.`,
  allow: 'Load it here too',
  deny: 'Do not load it',
});

const loadedElsewhere = ({ name, storedBytes }: Pick<ModelSummary, 'name' | 'storedBytes'>): MixtabError =>
  new MixtabError(
    'loaded-elsewhere',
    `Another tab of mixtab has a model in memory, and ${name} would take up to ${formatBytes(storedBytes)} beside it.`,
    'Close that tab, or show the frame (option container), so that the user can allow it.',
  );
