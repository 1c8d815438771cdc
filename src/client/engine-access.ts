/** Access to the engine, which holds one model and does one thing at a time. */
import type { LoadedModel, LoadProgress, LoadRequest } from '../contract/engine-api.ts';
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

type EngineParts = Pick<Backend, 'engine' | 'callback' | 'restartEngine' | 'neighbours'>;

/** Makes concurrent calls wait for each other, and keeps track of the loaded model. */
export function createEngineAccess(parts: EngineParts): EngineAccess {
  // The engine rejects concurrent calls as busy, so they wait for each other here.
  const inTurn = createTurns();
  const model = new ModelInEngine(parts);
  return {
    load: (request, { signal, onProgress } = {}) =>
      inTurn(async () => {
        throwIfAborted(signal);
        return model.load(request, signal, onProgress);
      }),
    loaded: () => model.loaded,
    run: (options, work) =>
      inTurn(async () => {
        const { signal } = options;
        throwIfAborted(signal);
        const ready = await model.ensure(options);
        throwIfAborted(signal);
        return model.whileLoaded(signal, () => work(ready));
      }),
  };
}

/** The engine's model, for one call at a time. */
class ModelInEngine {
  readonly #parts: EngineParts;
  #loaded: LoadedModel | undefined;
  #lastRequest: LoadRequest | undefined;
  /** The model that an engine had which was ended because it did not stop. */
  #ended: LoadRequest | undefined;

  constructor(parts: EngineParts) {
    this.#parts = parts;
  }

  get loaded(): LoadedModel | undefined {
    return this.#loaded;
  }

  async load(
    request: LoadRequest,
    signal: AbortSignal | undefined,
    onProgress: (progress: LoadProgress) => void = () => {},
  ): Promise<LoadedModel> {
    const { engine, callback, neighbours } = this.#parts;
    try {
      await neighbours?.mayLoad(request, signal);
      throwIfAborted(signal);
    } catch (error) {
      neighbours?.uses(this.#loaded?.summary.id); // perhaps its lock was taken already
      throw error;
    }
    return this.#stoppable(signal, async () => {
      this.#ended = undefined;
      this.#loaded = undefined; // A failed load leaves no model.
      neighbours?.uses(request.modelId);
      try {
        const model = await engine.load(request, callback(onProgress));
        this.#lastRequest = request;
        this.#loaded = model;
        return model;
      } catch (error) {
        this.#forget();
        throw error;
      }
    });
  }

  /** Loads the model that a call names, or that the engine had, unless it is loaded. */
  async ensure({ model, signal }: RunOptions): Promise<LoadedModel> {
    if (this.#loaded && (model === undefined || this.#loaded.summary.id === model)) return this.#loaded;
    if (model === undefined && this.#ended) return this.load(this.#ended, signal);
    if (model === undefined)
      throw new MixtabError('no-model-loaded', 'No model is loaded.', 'Call load, or name a model in the request.');
    // A model that an error ended is loaded again as it was before.
    return this.load(this.#lastRequest?.modelId === model ? this.#lastRequest : { modelId: model }, signal);
  }

  /** Runs work that an abort stops, and forgets the model if an error of the work ended it. */
  whileLoaded<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    return this.#stoppable(signal, async () => {
      try {
        return await work();
      } catch (error) {
        // After some of these errors the engine still has the model, for example if only a long prompt had no memory.
        if (losesModel(errorToData(error)) && !(await this.#parts.engine.experts())) this.#forget();
        throw error;
      }
    });
  }

  /** Runs work that an abort stops. An engine that does not stop in time is ended, and `work` rejects. */
  async #stoppable<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    const { engine, restartEngine } = this.#parts;
    let patience: ReturnType<typeof setTimeout> | undefined;
    const stop = (): void => {
      engine.stop().catch(() => {}); // the engine was ended meanwhile
      patience = setTimeout(() => {
        if (this.#loaded) this.#ended = this.#lastRequest;
        this.#forget();
        restartEngine();
      }, STOP_PATIENCE_MS);
    };
    try {
      return await stopOnAbort(signal, stop, work);
    } finally {
      clearTimeout(patience);
    }
  }

  #forget(): void {
    this.#loaded = undefined;
    this.#parts.neighbours?.uses(undefined);
  }
}
