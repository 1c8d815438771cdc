/**
 * Work of the experts view that has the engine to itself: reading a text, or comparing the model with an altered one.
 */
import { throwIfAborted } from '../../contract/errors.ts';
import { type Experiment, experiment, generating } from '../state/generation.ts';
import { loaded, loading } from '../state/models.ts';
import { announcement, problem } from '../state/notices.ts';
import type { EngineRuns } from './engine-runs.ts';
import { report } from './problems.ts';
import type { Sessions } from './sessions.ts';

/** One experiment's code. It may make several calls of the engine, and checks `signal` between them. */
export type ExperimentWork = (onProgress: (done: number, total: number) => void, signal: AbortSignal) => Promise<void>;

/** Runs experiments one at a time, and shows their progress and errors. */
export class Experiments {
  readonly #runs: EngineRuns;
  readonly #sessions: Pick<Sessions, 'releaseCache'>;

  constructor({ runs, sessions }: { runs: EngineRuns; sessions: Pick<Sessions, 'releaseCache'> }) {
    this.#runs = runs;
    this.#sessions = sessions;
  }

  /**
   * Runs `work` if the engine is free, otherwise does nothing. Resolves when it has ended. Errors are shown.
   * Loading another model stops it ({@link EngineRuns.stopAndWait}).
   */
  async run(kind: Experiment['kind'], work: ExperimentWork): Promise<void> {
    if (!loaded.value || generating.value || experiment.value || loading.value) return;
    problem.value = undefined;
    announcement.value = '';
    experiment.value = { kind, done: 0, total: 0 };
    await this.#runs.start((signal) => this.#runExclusively(kind, work, signal));
  }

  async #runExclusively(kind: Experiment['kind'], work: ExperimentWork, signal: AbortSignal): Promise<void> {
    let ended = false;
    const onProgress = (done: number, total: number): void => {
      // Callbacks of a worker take another channel than its results, so the last one may arrive after the end.
      if (!ended) experiment.value = { kind, done, total };
    };
    try {
      await this.#sessions.releaseCache();
      throwIfAborted(signal);
      await work(onProgress, signal);
    } catch (error) {
      report(error);
    } finally {
      ended = true;
      experiment.value = undefined;
    }
  }
}
