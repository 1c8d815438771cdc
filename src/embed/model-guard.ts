/**
 * What an embedding page may do to the stored models. Where the browser does not give the frame a store of its own, for
 * example if the embedding page is on the same site, they are the user's own models.
 */
import type { LocalModels } from '../client/local.ts';
import type { Mixtab } from '../client/types.ts';
import { errorToData, excerpt, MixtabError } from '../contract/errors.ts';
import { formatBytes } from '../contract/format-bytes.ts';
import type { Bytes } from '../contract/ids.ts';
import type { Question } from './question.ts';

/** An import must leave this much of the browser's space, for the user's conversations and other pages of the site. */
const RESERVE_BYTES: Bytes = 1e9;
/** Models of one embedding page that are stored at the same time. A page has use for a few. */
const MAX_MODELS = 16;

/** What the guard needs from the frame. */
export interface GuardOptions {
  /** Origin of the embedding page. */
  embedder: string;
  /** Ids of models of the site's own store, which nothing here can change. */
  siteModels(): Promise<string[]>;
  /** Whether a tab or another frame has the model loaded. */
  isInUse(id: string): Promise<boolean>;
  /** Asks the user in the frame. Resolves with false if the user declines, or cannot be asked. */
  confirm(question: Question): Promise<boolean>;
  /** Free space; undefined if the browser does not say. */
  freeBytes(): Promise<Bytes | undefined>;
}

type Models = Mixtab['models'];
type ImportOptions = NonNullable<Parameters<LocalModels['import']>[1]>;

/**
 * Restricts a client's `models`: an embedding page removes or continues only what it began to import itself, or what the
 * user allows with a click in the frame, and nothing that is in use. The store says who began an import. Imports of the
 * page are limited in number and leave some space.
 */
export function guardModels(models: LocalModels, options: GuardOptions): Models {
  const { embedder } = options;
  const isOwn = (entry: { embedder?: string } | undefined): boolean => entry?.embedder === embedder;
  return {
    list: () => models.list(),
    verify: (id, verifyOptions) => models.verify(id, verifyOptions),
    repair: (id, repairOptions) => models.repair(id, repairOptions),
    async import(source, { signal, onProgress } = {}) {
      if ((await models.list()).filter(isOwn).length >= MAX_MODELS) throw tooMany();
      const callOptions = { ...(signal && { signal }), ...(onProgress && { onProgress }) };
      try {
        return await importWithin(models, options, source, { ...callOptions, embedder });
      } catch (error) {
        if (errorToData(error).code !== 'not-allowed') throw error;
        if (!(await options.confirm(continueQuestion(embedder)))) throw error;
        return importWithin(models, options, source, callOptions);
      }
    },
    async remove(id) {
      if (await options.isInUse(id)) throw inUse();
      const model = (await models.list()).find((candidate) => candidate.id === id);
      // An unfinished import of the user is none of the embedding page's business.
      if (!model && !isOwn((await models.unfinished()).find((candidate) => candidate.id === id))) throw notStored(id);
      if (model && !isOwn(model) && !(await options.siteModels()).includes(id)) {
        const isAllowed = await options.confirm(deleteQuestion(embedder, model.name));
        if (!isAllowed) throw notAllowed(model.name);
        if (await options.isInUse(id)) throw inUse();
      }
      await models.remove(id);
    },
  };
}

/** Imports a model, and stops as soon as its size is known if it would leave too little space. */
async function importWithin(
  models: LocalModels,
  { freeBytes }: GuardOptions,
  source: Parameters<Models['import']>[0],
  { signal, onProgress, embedder }: ImportOptions,
): ReturnType<Models['import']> {
  const free = await freeBytes();
  const stop = new AbortController();
  const abort = (): void => stop.abort();
  let refused: MixtabError | undefined;
  signal?.addEventListener('abort', abort);
  if (signal?.aborted) abort();
  try {
    return await models.import(source, {
      signal: stop.signal,
      ...(embedder !== undefined && { embedder }),
      onProgress(progress) {
        if (!refused && free !== undefined && progress.bytesTotal - progress.bytesDone + RESERVE_BYTES > free) {
          refused = tooLarge(progress.bytesTotal, free);
          stop.abort();
        }
        if (!refused) onProgress?.(progress);
      },
    });
  } catch (error) {
    throw refused ?? error;
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

const deleteQuestion = (embedder: string, name: string): Question => ({
  text: `${embedder} wants to delete the model ${name}.`,
  allow: 'Delete it',
  deny: 'Keep it',
});

const continueQuestion = (embedder: string): Question => ({
  text: `${embedder} wants to continue an import that you have begun. The model stays yours.`,
  allow: 'Continue it',
  deny: 'Leave it',
});

const notStored = (id: string): MixtabError =>
  new MixtabError('model-not-found', `No model ${excerpt(id)} is stored.`, 'Call models.list() for the stored ones.');

const tooMany = (): MixtabError =>
  new MixtabError(
    'storage-full',
    `This page has already imported ${MAX_MODELS} models, which is the limit in a frame.`,
    'Remove one of them first.',
  );

const tooLarge = (needed: Bytes, free: Bytes): MixtabError =>
  new MixtabError(
    'storage-full',
    `The model needs ${formatBytes(needed)}, and ${formatBytes(free)} are free.`,
    `Free some space: an import in a frame leaves ${formatBytes(RESERVE_BYTES)} for everything else.`,
  );

const inUse = (): MixtabError =>
  new MixtabError('busy', 'The model is in use in another tab.', 'Close that tab, or choose another model there.');

const notAllowed = (name: string): MixtabError =>
  new MixtabError(
    'not-allowed',
    `This page did not import ${name}, and the user has not allowed its removal.`,
    'Show the frame (option container), so that the user can answer its question.',
  );
