/** Access to the engine, which holds one model and does one thing at a time. */
import type { LoadedModel, LoadRequest } from '../contract/engine-api.ts';
import { errorToData, losesModel, MixtabError, throwIfAborted } from '../contract/errors.ts';
import type { Backend } from './backend.ts';
import { createTurns, stopOnAbort } from './queue.ts';
import type { Mixtab } from './types.ts';

/**
 * How long an aborted call may take to end before the engine is ended. It is long, because loading the model again costs
 * more than a slow step, and nobody is there to be asked.
 */
const STOP_PATIENCE_MS = 20_000;

/** The engine, shared by all calls of a client. */
export interface EngineAccess {
  load: Mixtab['load'];
  /** The model that is loaded now. */
  loaded(): LoadedModel | undefined;
  /**
   * Waits until earlier calls have ended, loads the requested model unless it is loaded, and runs `work`.
   * @throws MixtabError `no-model-loaded` if neither the request nor an earlier call names a model; `aborted` if the
   *   signal aborts before `work` begins. An abort during `work` stops the engine, and `work` settles by itself,
   *   at the latest when an engine that does not stop is ended.
   */
  run<T>(options: RunOptions, work: (model: LoadedModel) => Promise<T>): Promise<T>;
}

/** Options of {@link EngineAccess.run}. */
export interface RunOptions {
  /** Id of a stored model. Default: the loaded one. */
  model: string | undefined;
  signal: AbortSignal | undefined;
}

/** Makes concurrent calls wait for each other, and keeps track of the loaded model. */
export function createEngineAccess({
  engine,
  callback,
  restartEngine,
  neighbours,
}: Pick<Backend, 'engine' | 'callback' | 'restartEngine' | 'neighbours'>): EngineAccess {
  // The engine rejects concurrent calls as busy, so they wait for each other here.
  const inTurn = createTurns();
  let loaded: LoadedModel | undefined;
  let lastRequest: LoadRequest | undefined;
  /** The model that an engine had which was ended because it did not stop. */
  let ended: LoadRequest | undefined;

  function setLoaded(model: LoadedModel | undefined): void {
    loaded = model;
    neighbours?.loaded(model?.summary.id);
  }

  async function loadNow(
    request: LoadRequest,
    signal: AbortSignal | undefined,
    onProgress: Parameters<typeof engine.load>[1] = () => {},
  ): Promise<LoadedModel> {
    await neighbours?.mayLoad(request.modelId, signal);
    throwIfAborted(signal);
    return stoppable(signal, async () => {
      ended = undefined;
      setLoaded(undefined); // A failed load leaves no model.
      const model = await engine.load(request, callback(onProgress));
      lastRequest = request;
      setLoaded(model);
      return model;
    });
  }

  async function ensureModel({ model, signal }: RunOptions): Promise<LoadedModel> {
    if (loaded && (model === undefined || loaded.summary.id === model)) return loaded;
    if (model === undefined && ended) return loadNow(ended, signal);
    if (model === undefined)
      throw new MixtabError('no-model-loaded', 'No model is loaded.', 'Call load, or name a model in the request.');
    // A model that an error ended is loaded again as it was before.
    return loadNow(lastRequest?.modelId === model ? lastRequest : { modelId: model }, signal);
  }

  /** Runs work that an abort stops. An engine that does not stop in time is ended, and `work` rejects. */
  async function stoppable<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    let patience: ReturnType<typeof setTimeout> | undefined;
    const stop = (): void => {
      engine.stop().catch(() => {}); // the engine was ended meanwhile
      patience = setTimeout(() => {
        if (loaded) ended = lastRequest;
        setLoaded(undefined);
        restartEngine();
      }, STOP_PATIENCE_MS);
    };
    try {
      return await stopOnAbort(signal, stop, work);
    } finally {
      clearTimeout(patience);
    }
  }

  /** Forgets the model if an error of `work` ended it. */
  async function noticeLoss<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      // After some of these errors the engine still has the model, for example if only a long prompt had no memory.
      if (losesModel(errorToData(error)) && !(await engine.experts())) setLoaded(undefined);
      throw error;
    }
  }

  return {
    load: (request, { signal, onProgress = () => {} } = {}) =>
      inTurn(async () => {
        throwIfAborted(signal);
        return loadNow(request, signal, onProgress);
      }),
    loaded: () => loaded,
    run: ({ model, signal }, work) =>
      inTurn(async () => {
        throwIfAborted(signal);
        const ready = await ensureModel({ model, signal });
        throwIfAborted(signal);
        return stoppable(signal, () => noticeLoss(work(ready)));
      }),
  };
}
