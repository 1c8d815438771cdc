/**
 * Work of the experts view that has the engine to itself: reading a text, or comparing the model with an altered one.
 */
import { type ErrorCode, errorToData, throwIfAborted } from '../../contract/errors.ts';
import { type Experiment, experiment, generating } from '../state/generation.ts';
import { loaded, loading } from '../state/models.ts';
import { announcement, problem } from '../state/notices.ts';
import type { EngineRuns } from './engine-runs.ts';
import type { ModelLoader } from './model-loader.ts';
import { report } from './problems.ts';
import type { Sessions } from './sessions.ts';

/** One experiment's code. It may make several calls of the engine, and checks `signal` between them. */
export type ExperimentWork = (onProgress: (done: number, total: number) => void, signal: AbortSignal) => Promise<void>;

/** The device was lost, perhaps before this, while nothing was computed. The model is loaded again, once. */
const RECOVERABLE: readonly ErrorCode[] = ['webgpu-device-lost', 'no-model-loaded'];

/** Runs experiments one at a time, and shows their progress and errors. */
export class Experiments {
  readonly #runs: EngineRuns;
  readonly #sessions: Pick<Sessions, 'releaseCache'>;
  readonly #loader: Pick<ModelLoader, 'recover'>;

  constructor({
    runs,
    sessions,
    loader,
  }: {
    runs: EngineRuns;
    sessions: Pick<Sessions, 'releaseCache'>;
    loader: Pick<ModelLoader, 'recover'>;
  }) {
    this.#runs = runs;
    this.#loader = loader;
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
      await work(onProgress, signal).catch(async (error) => {
        if (!RECOVERABLE.includes(errorToData(error).code) || !(await this.#loader.recover(signal))) throw error;
        await work(onProgress, signal);
      });
    } catch (error) {
      report(error);
    } finally {
      ended = true;
      experiment.value = undefined;
    }
  }
}
