import type { EngineApi, LoadRequest } from '../contract/engine-api.ts';
import type { ImportApi } from '../contract/import-api.ts';

/** Other tabs and frames, which share the machine's memory. */
export interface Neighbours {
  /**
   * Called before a model is loaded.
   * @param request its budgets limit what the model takes
   * @param signal ends the wait for the user
   * @throws MixtabError `loaded-elsewhere` if it should not be
   */
  mayLoad(request: LoadRequest, signal: AbortSignal | undefined): Promise<void>;
  /** The model that is read from now on: it is loaded, or being loaded; undefined: none. */
  uses(modelId: string | undefined): void;
}

/** The two workers that a client drives. */
export interface Backend {
  /** Stores models. */
  importer: Pick<ImportApi, 'list' | 'unfinished' | 'import' | 'cancel' | 'pause' | 'remove' | 'verify' | 'repair'>;
  /** Runs a model. */
  engine: Pick<EngineApi, 'load' | 'generate' | 'stop' | 'score' | 'observe' | 'experts'>;
  /** Wraps a callback so that it can be sent to a worker. */
  callback<T extends (...values: never[]) => void>(call: T): T;
  /** Ends the engine's worker, whatever it does. Its calls reject with `aborted`, and the next one starts another. */
  restartEngine(): void;
  neighbours?: Neighbours;
  /** Ends the workers. */
  close(): void;
}
