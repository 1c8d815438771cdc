/** Changes the stored models: import, verify, repair, remove. One import, verification or repair runs at a time. */
import { MixtabError } from '../../contract/errors.ts';
import type { BuiltinSource, ImportApi, ImportProgress, ModelSource, ModelSummary } from '../../contract/import-api.ts';
import { proxy } from '../../contract/rpc.ts';
import { accessToken } from '../state/access-token.ts';
import { current } from '../state/conversations.ts';
import { generating } from '../state/generation.ts';
import { importedModel, type RunningImport, runningImport, unfinished } from '../state/imports.ts';
import { loaded, models, modelsAreRead, towardsModel } from '../state/models.ts';
import { modelToLoad } from '../state/no-model.ts';
import { announcement, problem } from '../state/notices.ts';
import { view } from '../state/route.ts';
import { settings } from '../state/settings.ts';
import { addSample, newRate } from '../state/transfer-rate.ts';
import { recall, remember, removeValue } from '../state/web-storage.ts';
import { BUILTIN_NAME, builtinSource } from './builtin-model.ts';
import { askToPersist } from './disk-space.ts';
import type { ModelLoader } from './model-loader.ts';
import { report } from './problems.ts';
import type { Sessions } from './sessions.ts';
import type { Tabs } from './tabs.ts';

/** What changes of the store need from the rest of the page. */
export interface ModelStoreDependencies {
  importer: ImportApi;
  loader: Pick<ModelLoader, 'canCompute' | 'loadAsked' | 'unload' | 'use'>;
  sessions: Pick<Sessions, 'refresh'>;
  tabs: Pick<Tabs, 'notify' | 'requireUnusedElsewhere'>;
}

/** Key in localStorage of a note that there are models, so that the page knows before it can ask its database. */
const HAS_MODELS = 'mixtab-has-models';

type OnProgress = (progress: ImportProgress) => void;

/** Imports, verifies, repairs and removes models, and shows the progress. */
export class ModelStore {
  readonly #importer: ImportApi;
  readonly #loader: ModelStoreDependencies['loader'];
  readonly #sessions: ModelStoreDependencies['sessions'];
  readonly #tabs: ModelStoreDependencies['tabs'];

  constructor({ importer, loader, sessions, tabs }: ModelStoreDependencies) {
    this.#importer = importer;
    this.#loader = loader;
    this.#sessions = sessions;
    this.#tabs = tabs;
  }

  /** Reads the lists of stored models and unfinished imports again. */
  async refresh(): Promise<void> {
    [models.value, unfinished.value] = await Promise.all([this.#importer.list(), this.#importer.unfinished()]);
    modelsAreRead.value = true;
    if (models.value.some(({ state }) => state === 'complete')) remember('localStorage', HAS_MODELS, '1');
    else removeValue('localStorage', HAS_MODELS);
  }

  /** Begins to download the built-in model if there is probably none, before it is known. */
  prefetchBuiltin(): void {
    if (isSecureContext && recall('localStorage', HAS_MODELS) === undefined) this.#prefetch(builtinSource());
  }

  /** Ends that download, unless an import has taken it. */
  endPrefetch(): void {
    this.#prefetch();
  }

  #prefetch(source?: BuiltinSource): void {
    this.#importer.prefetch(source).catch(() => {}); // the import reports what is wrong with its worker
  }

  /**
   * Imports a model and loads it, unless the user is in a conversation with another one. Errors are shown to the user.
   */
  async import(source: ModelSource, name: string): Promise<void> {
    // Not for the built-in model: the first visit asks for nothing, and the model can always be fetched again.
    if (source.kind !== 'builtin') void askToPersist();
    await this.#runJob('import', name, async (onProgress) => {
      const summary = await this.#importAndLoadEarly(source, name, onProgress);
      announcement.value = `${summary.name} is imported.`;
      await this.#offer(summary);
    });
  }

  /** Imports the model that is served with the page. */
  importBuiltin(): Promise<void> {
    return towardsModel(() => this.import(builtinSource(), BUILTIN_NAME));
  }

  /**
   * While no model is loaded: finds out again what can compute and which models there are, and loads one
   * ({@link modelToLoad}), or imports the built-in one. Errors are shown to the user.
   */
  async loadAny(): Promise<void> {
    await towardsModel(async () => {
      try {
        if (!(await this.#loader.canCompute())) return;
        await this.refresh();
        if (modelToLoad.value) await this.#loader.loadAsked(modelToLoad.value);
        else await this.importBuiltin();
      } catch (error) {
        report(error);
      }
    });
  }

  /** Stops the import. It can be resumed later, even after the tab was closed. */
  pauseImport(): void {
    void this.#importer.pause();
  }

  /** Stops the import and removes what it stored. */
  async cancelImport(): Promise<void> {
    const id = runningImport.value?.progress?.usableId;
    if (id !== undefined && loaded.value?.summary.id === id) await this.#loader.unload();
    await this.#importer.cancel();
  }

  /** Removes what an unfinished import has stored. */
  async forgetImport(id: string): Promise<void> {
    try {
      await this.#importer.remove(id);
      await this.refresh();
    } catch (error) {
      report(error);
    }
  }

  /** Fetches the damaged records of a model again from its source. */
  async repair(model: ModelSummary): Promise<void> {
    await this.#runJob('repair', model.name, async (onProgress) => {
      const access = accessToken();
      await this.#importer.repair(model.id, proxy(onProgress), access ? { access } : {});
      announcement.value = `${model.name} is repaired.`;
    });
  }

  /**
   * Reads every stored byte of a model and compares it with its hash. Damage is shown to the user.
   * @returns the number of damaged records; undefined if the verification failed or did not start
   */
  async verify(model: ModelSummary): Promise<number | undefined> {
    let damaged: string[] | undefined;
    await this.#runJob('verify', model.name, async (onProgress) => {
      damaged = await this.#importer.verify(model.id, proxy(onProgress));
      if (damaged.length > 0) {
        const records = damaged.length === 1 ? '1 record is' : `${damaged.length} records are`;
        throw new MixtabError(
          'record-damaged',
          `${model.name}: ${records} damaged or unreadable on this disk.`,
          'Repair it on the models page.',
        );
      }
      announcement.value = `${model.name} is intact.`;
    });
    return damaged?.length;
  }

  /** Removes a model and its sessions. Errors are shown to the user. */
  async remove(model: ModelSummary): Promise<void> {
    try {
      await this.#tabs.requireUnusedElsewhere(model);
      if (loaded.value?.summary.id === model.id) await this.#loader.unload();
      await this.#importer.remove(model.id);
      await Promise.all([this.refresh(), this.#sessions.refresh()]);
      this.#tabs.notify();
      announcement.value = `${model.name} is deleted.`;
    } catch (error) {
      report(error);
    }
  }

  /** Imports a model. The built-in one is loaded, and its kernels are compiled, while the rest of it is stored. */
  async #importAndLoadEarly(source: ModelSource, name: string, onProgress: OnProgress): Promise<ModelSummary> {
    let earlyLoad: Promise<void> | undefined;
    const watch = (progress: ImportProgress): void => {
      onProgress(progress);
      if (source.kind === 'builtin' && progress.usableId && !loaded.value)
        earlyLoad ??= this.#loader.use({ id: progress.usableId, name }, false);
    };
    try {
      const summary = await this.#importer.import(source, proxy(watch), { storage: settings.value.storageBackend });
      await towardsModel(async () => {
        runningImport.value = undefined;
        await this.refresh();
      });
      this.#tabs.notify();
      return summary;
    } finally {
      // If the import failed, this load fails too. It must end first, so that the import's error is the one shown.
      await earlyLoad;
    }
  }

  /** Loads an imported model; if the user is in a conversation with another model, a notice offers it instead. */
  async #offer(summary: ModelSummary): Promise<void> {
    if (loaded.value?.summary.id === summary.id) {
      loaded.value = { ...loaded.value, summary }; // it was loaded during the import
      return;
    }
    const inConversation = view.value === 'chat' && current.value !== undefined && loaded.value !== undefined;
    if (inConversation || generating.value) importedModel.value = summary;
    else await this.#loader.use(summary, false);
  }

  /** Runs one import, verification or repair and shows its progress. Does nothing if another one is running. */
  async #runJob(
    kind: RunningImport['kind'],
    name: string,
    job: (onProgress: OnProgress) => Promise<void>,
  ): Promise<void> {
    if (runningImport.value) return;
    problem.value = undefined;
    runningImport.value = { kind, name, progress: undefined, rate: newRate() };
    try {
      await job(showProgress);
    } catch (error) {
      report(error);
    } finally {
      runningImport.value = undefined;
      await this.refresh().catch(report); // the job may have left an unfinished import, or found or repaired damage
    }
  }
}

function showProgress(progress: ImportProgress): void {
  const running = runningImport.value;
  if (!running) return;
  const rate = addSample(running.rate, progress.bytesDone, performance.now());
  runningImport.value = { ...running, progress, rate };
}
