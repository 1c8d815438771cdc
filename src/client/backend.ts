import type { EngineApi } from '../contract/engine-api.ts';
import type { ImportApi } from '../contract/import-api.ts';

/** The two workers that a client drives. */
export interface Backend {
  /** Stores models. */
  importer: Pick<ImportApi, 'list' | 'unfinished' | 'import' | 'cancel' | 'pause' | 'remove' | 'verify' | 'repair'>;
  /** Runs a model. */
  engine: Pick<EngineApi, 'load' | 'generate' | 'stop' | 'score' | 'experts'>;
  /** Wraps a callback so that it can be sent to a worker. */
  callback<T extends (...values: never[]) => void>(call: T): T;
  /** Ends the engine's worker, whatever it does. Its calls reject with `aborted`, and the next one starts another. */
  restartEngine(): void;
  /** Ends the workers. */
  close(): void;
}
