/** Loads models, one at a time. */
import type { EngineApi, LoadRequest } from '../../contract/engine-api.ts';
import { errorToData } from '../../contract/errors.ts';
import type { ModelSummary } from '../../contract/import-api.ts';
import { proxy } from '../../contract/rpc.ts';
import { computeKind } from '../state/compute.ts';
import { current, openConversation } from '../state/conversations.ts';
import { overflow } from '../state/generation.ts';
import { importedModel, runningImport } from '../state/imports.ts';
import { computeProblems, lastLoaded, loaded, loading, models, probed } from '../state/models.ts';
import { problem } from '../state/notices.ts';
import { showView } from '../state/route.ts';
import { changeSettings, loadOptionsOf, type Settings, settings } from '../state/settings.ts';
import type { EngineRuns } from './engine-runs.ts';
import { report } from './problems.ts';
import { SerialQueue } from './serial-queue.ts';
import type { Sessions } from './sessions.ts';

/** What loading needs from the rest of the page. */
export interface ModelLoaderDependencies {
  engine: Pick<EngineApi, 'probe' | 'load' | 'unload'>;
  runs: Pick<EngineRuns, 'stopAndWait'>;
  sessions: Pick<Sessions, 'save'>;
}

/** The part of a model's summary that loading needs. */
type ModelReference = Pick<ModelSummary, 'id' | 'name'>;

/** Loads, reloads and unloads the model. */
export class ModelLoader {
  readonly #engine: ModelLoaderDependencies['engine'];
  readonly #runs: ModelLoaderDependencies['runs'];
  readonly #sessions: ModelLoaderDependencies['sessions'];
  /** A model may be imported, and then loaded, while another one is being loaded. */
  readonly #queue = new SerialQueue(report);
  /** The model that was to be loaded last, even if that failed. */
  #requested: ModelReference | undefined;

  constructor({ engine, runs, sessions }: ModelLoaderDependencies) {
    this.#engine = engine;
    this.#runs = runs;
    this.#sessions = sessions;
  }

  /** Finds out what this browser offers for computing, and sets `probed`. */
  async probe(): Promise<void> {
    try {
      probed.value = await this.#engine.probe();
    } catch (error) {
      probed.value = { gpuError: errorToData(error) };
    }
  }

  /** Loads a stored model, replacing the loaded one. Never rejects: errors are shown to the user. */
  load(model: ModelReference): Promise<void> {
    return this.#queue.add(() => this.#load(model));
  }

  /** Loads a model and shows a conversation with it: the current one if it used this model, otherwise a new one. */
  async use(model: ModelReference): Promise<void> {
    importedModel.value = undefined;
    await this.load(model);
    if (loaded.value?.summary.id !== model.id) return;
    if (current.value && current.value.modelId !== model.id) openConversation(undefined);
    showView('chat');
  }

  /** Loads the model whose import is running. The import then downloads the experts first that the engine needs. */
  async useEarly(): Promise<void> {
    const running = runningImport.value;
    if (running?.progress?.usableId) await this.use({ id: running.progress.usableId, name: running.name });
  }

  /**
   * Loads the current model again, after an error ended it or made loading fail, or after settings changed.
   * @param changes settings to change before that
   */
  async reload(changes?: Partial<Settings>): Promise<void> {
    if (changes) changeSettings(changes);
    const id = loaded.value?.summary.id ?? this.#requested?.id ?? settings.value.lastModelId;
    const model = models.value.find((candidate) => candidate.id === id);
    if (model) await this.load(model);
  }

  /** Frees the memory that the model takes. */
  async unload(): Promise<void> {
    await this.#leaveModel();
    await this.#engine.unload();
    loaded.value = undefined;
  }

  async #load(model: ModelReference): Promise<void> {
    if (computeProblems.value.length > 0) return;
    this.#requested = model;
    await this.#leaveModel();
    problem.value = undefined;
    overflow.value = undefined;
    loaded.value = undefined;
    loading.value = { name: model.name, progress: undefined };
    try {
      loaded.value = await this.#engine.load(
        { modelId: model.id, ...loadOptionsOf(settings.value, computeKind.value), ...chatFormatOf(model.id) },
        proxy((progress) => {
          if (loading.value) loading.value = { ...loading.value, progress };
        }),
      );
      lastLoaded.value = loaded.value;
      changeSettings({ lastModelId: model.id });
    } catch (error) {
      report(error);
    } finally {
      loading.value = undefined;
    }
  }

  /** Stops the current run, and saves the KV cache. */
  async #leaveModel(): Promise<void> {
    await this.#runs.stopAndWait();
    await this.#sessions.save();
  }
}

/** The chat format that the user has chosen for a model. */
function chatFormatOf(modelId: string): Pick<LoadRequest, 'chatFormat'> {
  const chatFormat = settings.value.chatFormats[modelId];
  return chatFormat === undefined ? {} : { chatFormat };
}
