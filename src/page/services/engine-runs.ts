/**
 * The engine computes one thing at a time: an answer, or an experiment of the experts view. This module is the only
 * owner of what runs now and of the way to stop it.
 */
import type { EngineApi } from '../../contract/engine-api.ts';
import { experiment, generating, stopping } from '../state/generation.ts';

export class EngineRuns {
  readonly #engine: Pick<EngineApi, 'stop'>;
  /** Settles when the newest run has ended; never rejects. */
  #ended: Promise<void> = Promise.resolve();
  #controller = new AbortController();

  constructor(engine: Pick<EngineApi, 'stop'>) {
    this.#engine = engine;
  }

  /**
   * Starts a run. Nothing else may be running: callers check `canSend`, or wait with {@link stopAndWait}.
   * @param work sets `generating` or `experiment` while it runs, and must not reject. Its signal is aborted by {@link
   *   stop}; the engine's own call then ends by itself, so `work` checks the signal only between two calls.
   */
  start(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    this.#controller = new AbortController();
    this.#ended = work(this.#controller.signal).finally(() => {
      stopping.value = false;
    });
    return this.#ended;
  }

  /** Stops what runs after the token in flight. Does nothing if the engine is idle. */
  stop(): void {
    if (!generating.value && !experiment.value) return;
    stopping.value = true;
    this.#controller.abort();
    void this.#engine.stop();
  }

  /** Stops what runs, and resolves when it has ended. */
  async stopAndWait(): Promise<void> {
    this.stop();
    await this.#ended;
  }
}
