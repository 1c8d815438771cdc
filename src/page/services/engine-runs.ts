/**
 * The engine computes one thing at a time: an answer, or an experiment of the experts view. This module owns the
 * current run, and stops it.
 */
import type { EngineApi } from '../../contract/engine-api.ts';
import { experiment, generating, stopping } from '../state/generation.ts';

/** Starts and stops what the engine computes: one answer or one experiment at a time. */
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
   * @param work sets `generating` or `experiment` while it runs, and must not reject. Its signal is aborted by
   *   {@link stop}. The engine's pending call then ends by itself, so `work` checks the signal only between two calls.
   */
  start(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    this.#controller = new AbortController();
    this.#ended = work(this.#controller.signal).finally(() => {
      stopping.value = false;
    });
    return this.#ended;
  }

  /** Stops the current run after the token in flight. Does nothing if there is none. */
  stop(): void {
    if (!generating.value && !experiment.value) return;
    stopping.value = true;
    this.#controller.abort();
    this.#engine.stop().catch(() => {}); // a run whose worker has died ends by itself
  }

  /** Stops the current run, and resolves when it has ended. */
  async stopAndWait(): Promise<void> {
    this.stop();
    await this.#ended;
  }
}
