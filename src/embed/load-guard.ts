/** Asks before a frame loads a large model beside that of another tab or frame: they share the machine's memory. */
import type { LoadRequest } from '../contract/engine-api.ts';
import { MixtabError, throwIfAborted } from '../contract/errors.ts';
import { formatBytes } from '../contract/format-bytes.ts';
import type { Bytes } from '../contract/ids.ts';
import type { ModelSummary } from '../contract/import-api.ts';
import { LARGE_MODEL_BYTES, type LoadedLock } from '../contract/loaded-lock.ts';
import { mostMemory } from '../contract/most-memory.ts';
import type { Question } from './question.ts';

/** What the guard needs from the frame. */
export interface LoadGuardOptions {
  list(): Promise<Pick<ModelSummary, 'id' | 'name' | 'storedBytes'>[]>;
  locks: Pick<LoadedLock, 'claim' | 'claimAfterOthers'>;
  /** Asks the user in the frame. Resolves with false if the user declines, or cannot be asked. */
  confirm(question: Question, signal: AbortSignal): Promise<boolean>;
}

/** A model, and the most memory that a load of it takes. */
interface Load {
  name: string;
  bytes: Bytes;
}

/**
 * @returns a function that is called before each load. It resolves if the load takes little memory, if no other tab or
 *   frame has a model, or once the user allows it or the others are closed. If no other has one, the frame's lock is then
 *   held, so that only one of several loads. A model is allowed until the frame is closed, up to the memory that the user
 *   was asked about.
 */
export function guardLoads({ list, locks, confirm }: LoadGuardOptions) {
  /** Bytes by the model's id. */
  const allowed = new Map<string, Bytes>();
  return async (request: LoadRequest, signal: AbortSignal | undefined): Promise<void> => {
    const { modelId } = request;
    const model = (await list()).find(({ id }) => id === modelId);
    if (!model) return;
    const load: Load = { name: model.name, bytes: mostMemory(model.storedBytes, request) };
    if (load.bytes < LARGE_MODEL_BYTES || load.bytes <= (allowed.get(modelId) ?? 0)) return;
    if (await locks.claim(modelId, signal)) return;
    throwIfAborted(signal);
    const wait = new AbortController();
    const end = (): void => wait.abort();
    signal?.addEventListener('abort', end);
    try {
      const answer = await Promise.race([
        confirm(questionFor(load), wait.signal),
        locks.claimAfterOthers(modelId, wait.signal).then(
          () => 'alone' as const,
          () => false,
        ),
      ]);
      throwIfAborted(signal);
      if (!answer) throw loadedElsewhere(load);
      if (answer !== 'alone') allowed.set(modelId, load.bytes);
    } finally {
      end();
      signal?.removeEventListener('abort', end);
    }
  };
}

const questionFor = ({ name, bytes }: Load): Question => ({
  text:
    'Another tab of mixtab has a model in memory. ' +
    `${name} would take up to about ${formatBytes(bytes)} beside it. If you close that tab, it is loaded here.`,
  allow: 'Load it here too',
  deny: 'Do not load it',
});

const loadedElsewhere = ({ name, bytes }: Load): MixtabError =>
  new MixtabError(
    'loaded-elsewhere',
    `Another tab of mixtab has a model in memory, and ${name} would take up to about ${formatBytes(bytes)} beside it.`,
    'Close that tab, give the load smaller budgets, or show the frame (option container), so that the user can allow it.',
  );
