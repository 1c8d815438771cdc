/** Loads models, one at a time. */
import { effect } from '@preact/signals';
import type { EngineApi, LoadedModel, LoadProgress, LoadRequest } from '../../contract/engine-api.ts';
import { type ErrorCode, errorFromData, errorToData, MixtabError } from '../../contract/errors.ts';
import { formatBytes } from '../../contract/format-bytes.ts';
import type { ModelSummary } from '../../contract/import-api.ts';
import { proxy } from '../../contract/rpc.ts';
import { mostMemory } from '../state/compute.ts';
import { current, openConversation } from '../state/conversations.ts';
import { overflow } from '../state/generation.ts';
import { importedModel, runningImport } from '../state/imports.ts';
import { heldBack, type LoadMark, markLoading, noteFailure, updateMark } from '../state/load-mark.ts';
import {
  computeProblems,
  lastLoaded,
  loaded,
  loadedElsewhere,
  loading,
  models,
  probed,
  requestedId,
  towardsModel,
} from '../state/models.ts';
import { problem } from '../state/notices.ts';
import { showView, view } from '../state/route.ts';
import { changedElsewhere, changeSettings, loadOptionsOf, type Settings, settings } from '../state/settings.ts';
import type { EngineRuns } from './engine-runs.ts';
import { report } from './problems.ts';
import { SerialQueue } from './serial-queue.ts';
import type { Sessions } from './sessions.ts';
import type { Tabs } from './tabs.ts';

/** What loading needs from the rest of the page. */
export interface ModelLoaderDependencies {
  engine: Pick<EngineApi, 'probe' | 'load' | 'unload' | 'stop'>;
  /** Ends the engine's worker, whatever it does; its calls reject with `aborted`. */
  restartEngine: () => void;
  runs: Pick<EngineRuns, 'stopAndWait'>;
  sessions: Pick<Sessions, 'save'>;
  tabs: Pick<Tabs, 'claim'>;
  /** Waits for some milliseconds; default: a timer. */
  wait?: (ms: number) => Promise<void>;
}

/**
 * When to try again to load a model whose device was lost: for a bit more than two minutes. That is how long Chromium
 * offers no GPU after its GPU process has ended twice.
 */
const RECOVERY_DELAYS_MS = [0, 1000, 2000, 4000, 8000, 15_000, 20_000, 20_000, 20_000, 20_000, 20_000];
/** How long a load may take to stop at its next progress before the engine is ended. */
const LOAD_STOP_PATIENCE_MS = 4000;
/** Errors of loading after which a later attempt may succeed. */
const DEVICE_ABSENT: readonly ErrorCode[] = ['webgpu-device-lost', 'webgpu-no-adapter'];

/** The part of a model's summary that loading needs. */
type ModelReference = Pick<ModelSummary, 'id' | 'name'>;

/** A model that is loaded only if no other tab has one. */
type CarefulReference = ModelReference & Pick<ModelSummary, 'storedBytes'>;

/** Loads, reloads and unloads the model. */
export class ModelLoader {
  readonly #engine: ModelLoaderDependencies['engine'];
  readonly #restartEngine: () => void;
  readonly #runs: ModelLoaderDependencies['runs'];
  readonly #sessions: ModelLoaderDependencies['sessions'];
  readonly #tabs: ModelLoaderDependencies['tabs'];
  /** A model may be imported, and then loaded, while another one is being loaded. */
  readonly #queue = new SerialQueue(report);
  readonly #wait: (ms: number) => Promise<void>;
  /** Ends the wait for a device that was lost, if there is one. */
  #endPause = (): void => {};
  /** Ends the engine if a cancelled load does not stop. */
  #patience: ReturnType<typeof setTimeout> | undefined;
  /** The user knows that another tab has a model in memory. */
  #askedForRoom = false;
  /** The model that was to be loaded last, even if that failed. */
  #requested: ModelReference | undefined;
  #probing: Promise<void> | undefined;

  constructor({ engine, restartEngine, runs, sessions, tabs, wait = sleep }: ModelLoaderDependencies) {
    this.#tabs = tabs;
    this.#restartEngine = restartEngine;
    this.#wait = wait;
    this.#engine = engine;
    this.#runs = runs;
    this.#sessions = sessions;
  }

  /** Finds out what this browser offers for computing, and sets `probed`. One call at a time asks the engine. */
  probe(): Promise<void> {
    this.#probing ??= this.#probe().finally(() => {
      this.#probing = undefined;
    });
    return this.#probing;
  }

  async #probe(): Promise<void> {
    try {
      probed.value = await this.#engine.probe();
    } catch (error) {
      // Without the engine's worker nothing is known of the GPU, and the page can be reloaded.
      if (errorToData(error).code === 'worker-unavailable') report(error);
      else probed.value ??= { gpuError: errorToData(error) };
    }
  }

  /**
   * Finds out what can compute, unless that is known. A GPU that was absent, or the engine's script, may be there again.
   * @returns whether anything can compute. If not, a notice has said so, and stays
   */
  async canCompute(): Promise<boolean> {
    if (!probed.value || computeProblems.value.length > 0) await this.probe();
    else if (probed.value.gpuError) void this.probe(); // the engine looks for a GPU itself when it loads a model
    return probed.value !== undefined && computeProblems.value.length === 0;
  }

  /** Loads a stored model, replacing the loaded one. Never rejects: errors are shown to the user. */
  load(model: ModelReference): Promise<void> {
    return towardsModel(() => this.#queue.add(() => this.#load(model)));
  }

  /**
   * Loads a stored model, unless it is large, and another tab has one in memory: then it says so and offers to. Once no
   * other tab has one, loads it, unless a model was loaded meanwhile. Never rejects.
   */
  loadCarefully(model: CarefulReference): Promise<void> {
    return towardsModel(() => this.#queue.add(() => this.#load(model, model)));
  }

  /**
   * Loads a model that the user asked for. If another tab has a large one in memory, it says so first, unless it has done
   * that before: see {@link loadCarefully}. Never rejects.
   */
  async loadAsked(model: ModelReference): Promise<void> {
    const stored = models.value.find(({ id }) => id === model.id);
    if (stored && !this.#askedForRoom && !loaded.value) await this.loadCarefully(stored);
    else await this.load(model);
  }

  #leaveToOtherTab(model: CarefulReference): void {
    this.#askedForRoom = true;
    this.#request(model);
    report(
      new MixtabError(
        'loaded-elsewhere',
        `Another tab of mixtab has a model in memory, so ${model.name} is not loaded here yet.`,
        `It would take up to about ${formatBytes(mostMemory(model.storedBytes))} more. Use that tab, or close it: then the model is loaded here by itself.`,
      ),
    );
    const stop = effect(() => {
      const hasModel = loaded.value !== undefined || loading.value !== undefined;
      if (loadedElsewhere.value.length > 0 && !hasModel) return;
      queueMicrotask(() => {
        stop();
        // Another tab that has waited, too, may be faster: then this one waits again.
        if (hasModel) return;
        void towardsModel(() =>
          this.#queue.add(async () => {
            if (!loaded.value) await this.#load(model, model);
          }),
        );
      });
    });
  }

  /** Does not load a model that ended the page last time, but says why and offers to. */
  holdBack(model: ModelReference, mark: LoadMark): void {
    this.#request(model);
    heldBack.value = mark;
    markLoading({ ...mark, heldBack: true }); // until a model is loaded
    const what = mark.deviceLost ? 'the browser took the GPU away' : 'the page ended';
    report(
      new MixtabError(
        'load-interrupted',
        `${model.name} is not loaded by itself: last time, ${what} before its first answer.`,
        'Load it again, with less memory if you can, or choose another model.',
      ),
    );
  }

  /**
   * Loads a model and shows a conversation with it: the current one if it used this model, otherwise a new one.
   * @param asked whether the user has asked for it now. If not, who looks at experts or a measurement stays there
   */
  async use(model: ModelReference, asked = true): Promise<void> {
    importedModel.value = undefined;
    await this.loadAsked(model);
    if (loaded.value?.summary.id !== model.id) return;
    if (current.value && current.value.modelId !== model.id) openConversation(undefined);
    if (asked || view.value === 'models') showView('chat');
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
    // A model that is used while it is imported is in no list yet.
    const unlisted = this.#requested?.id === id ? this.#requested : undefined;
    const model = models.value.find((candidate) => candidate.id === id) ?? unlisted;
    if (model) await this.load(model);
  }

  /**
   * Loads a model again whose device was lost, on the same kind of device, so that a run can continue. The run stays as it
   * is. Waits for the device with patience.
   * @param signal of the run; after it is aborted, nothing more is tried
   * @returns whether the model is loaded
   * @throws MixtabError what loading throws, unless the device is absent
   */
  async recover(signal: AbortSignal): Promise<boolean> {
    const lost = lastLoaded.value;
    if (!lost || signal.aborted) return false;
    let recovered = false;
    let failure: unknown;
    const job = this.#queue.add(async () => {
      try {
        recovered = await this.#loadLost(lost, signal);
      } catch (error) {
        failure = error;
      }
    });
    // A job before it in the queue may be waiting for this very run to end.
    await Promise.race([job, new Promise((resolve) => signal.addEventListener('abort', resolve))]);
    if (failure) throw failure;
    return recovered;
  }

  /**
   * Ends the engine, because it does not stop what it computes, and loads the model again. The answer keeps its text.
   */
  async restart(): Promise<void> {
    const model = loaded.value?.summary ?? this.#requested;
    loaded.value = undefined;
    this.#restartEngine();
    if (model) await this.load(model);
  }

  /** Stops loading. Nothing is lost by ending an engine that does not react: it has no model yet. */
  cancelLoad(): void {
    const cancelled = loading.value;
    if (!cancelled || cancelled.stopping) return;
    loading.value = { ...cancelled, stopping: true };
    this.#endPause();
    this.#engine.stop().catch(() => {}); // the worker was ended meanwhile
    this.#patience = setTimeout(this.#restartEngine, LOAD_STOP_PATIENCE_MS);
  }

  /** Frees the memory that the model takes. */
  async unload(): Promise<void> {
    await this.#leaveModel();
    await this.#engine.unload();
    markLoading(undefined);
    loaded.value = undefined;
  }

  /** @param careful the same model, if it may have to be left to another tab */
  async #load(model: ModelReference, careful?: CarefulReference): Promise<void> {
    if (!(await this.canCompute())) return;
    this.#request(model);
    await this.#leaveModel();
    if (careful && !loaded.value && !(await this.#tabs.claim(careful))) return this.#leaveToOtherTab(careful);
    problem.value = undefined;
    overflow.value = undefined;
    loading.value = { name: model.name, progress: undefined };
    loaded.value = undefined;
    markLoading({ modelId: model.id, name: model.name });
    try {
      const { memory } = await this.#loadInto(model.id, loadOptionsOf(settings.value));
      if (memory) updateMark({ megabytes: Math.floor((memory.gpuBytes || memory.ramBytes) / 1e6) });
      changeSettings({ lastModelId: model.id });
    } catch (error) {
      noteFailure(error);
      report(error);
    } finally {
      this.#endLoading();
    }
  }

  /** Calls the engine, and sets `loaded`. @throws MixtabError the engine's */
  async #loadInto(modelId: string, options: Omit<LoadRequest, 'modelId'>): Promise<LoadedModel> {
    const onProgress = proxy((progress: LoadProgress) => {
      if (loading.value) loading.value = { ...loading.value, progress };
    });
    const model = await this.#engine.load({ modelId, ...options, ...chatFormatOf(modelId) }, onProgress);
    loaded.value = lastLoaded.value = model;
    changedElsewhere.value = false;
    return model;
  }

  /** Tries to load the model again, see {@link RECOVERY_DELAYS_MS}. @returns false if the device does not come back */
  async #loadLost({ summary, compute }: LoadedModel, signal: AbortSignal): Promise<boolean> {
    loading.value = { name: summary.name, progress: undefined, again: true };
    loaded.value = undefined;
    problem.value = undefined;
    try {
      for (const delay of RECOVERY_DELAYS_MS) {
        await this.#pause(delay, signal);
        if (signal.aborted || loading.value?.stopping) return false;
        // The answer would continue differently on the other one, and the CPU may be much slower.
        const options = { ...loadOptionsOf(settings.value), compute: compute.kind };
        const error = await this.#loadInto(summary.id, options).then(() => undefined, errorToData);
        if (!error) {
          // As before: that the page asked for this device was not the user's choice.
          loaded.value = lastLoaded.value = {
            ...loaded.value!,
            compute: { ...loaded.value!.compute, reason: compute.reason },
          };
          problem.value = undefined;
          return true;
        }
        if (!DEVICE_ABSENT.includes(error.code)) throw errorFromData(error);
        if (loading.value) loading.value = { ...loading.value, deviceAbsent: true };
      }
      return false;
    } finally {
      this.#endLoading();
    }
  }

  /** Waits before the next attempt, unless the run is aborted or the load cancelled. */
  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted || loading.value?.stopping) return;
    const ended = new Promise<void>((resolve) => {
      this.#endPause = resolve;
    });
    signal.addEventListener('abort', this.#endPause);
    await Promise.race([this.#wait(ms), ended]);
    signal.removeEventListener('abort', this.#endPause);
  }

  #request(model: ModelReference): void {
    this.#requested = model;
    requestedId.value = model.id;
  }

  #endLoading(): void {
    clearTimeout(this.#patience);
    loading.value = undefined;
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

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
