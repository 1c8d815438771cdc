/**
 * The engine computes one thing at a time: an answer, or an experiment of the experts view. This module owns the
 * current run, and stops it.
 */
import type { EngineApi } from '../../contract/engine-api.ts';
import { experiment, generating, stopHangs, stopping } from '../state/generation.ts';

/**
 * How long a run may take to stop before the page offers to end the engine. A step whose experts come from a slow disk
 * takes some seconds.
 */
const STOP_PATIENCE_MS = 8000;

/** Starts and stops what the engine computes: one answer or one experiment at a time. */
export class EngineRuns {
  readonly #engine: Pick<EngineApi, 'stop'>;
  /** Settles when the newest run has ended; never rejects. */
  #ended: Promise<void> = Promise.resolve();
  #controller = new AbortController();
  #patience: ReturnType<typeof setTimeout> | undefined;

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
      clearTimeout(this.#patience);
      this.#patience = undefined;
      stopping.value = stopHangs.value = false;
    });
    return this.#ended;
  }

  /** Stops the current run after the token in flight. Does nothing if there is none. If it does not end, says so. */
  stop(): void {
    if (!generating.value && !experiment.value) return;
    stopping.value = true;
    this.#patience ??= setTimeout(() => (stopHangs.value = true), STOP_PATIENCE_MS);
    this.#controller.abort();
    this.#engine.stop().catch(() => {}); // a run whose worker has died ends by itself
  }

  /** Stops the current run, and resolves when it has ended. */
  async stopAndWait(): Promise<void> {
    this.stop();
    await this.#ended;
  }
}
