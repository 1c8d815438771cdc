/** Models: start of the page, import, check, removal, loading. */

import { errorToData, MixtabError } from '../../contract/errors.ts';
import type { ImportProgress, ModelSource, ModelSummary } from '../../contract/import-api.ts';
import { proxy } from '../../contract/rpc.ts';
import { accessToken } from '../state/access-token.ts';
import { current, openConversation } from '../state/conversations.ts';
import { showView, view } from '../state/route.ts';
import { changeSettings, loadOptionsOf, settings } from '../state/settings.ts';
import {
  adapter,
  announcement,
  generating,
  gpuProblem,
  imported,
  loaded,
  loading,
  models,
  overflow,
  problem,
  type RunningImport,
  runningImport,
  unfinished,
} from '../state/state.ts';
import { addSample, newRate } from '../state/transfer-rate.ts';
import { stopAndWait } from './answers.ts';
import { askToPersist } from './disk-space.ts';
import { report } from './problems.ts';
import { leaveModel, refreshSessions } from './sessions.ts';
import { notifyTabs, requireUnusedElsewhere } from './tabs.ts';
import { engine, importer } from './workers.ts';

const BUILTIN_PATH = 'models/builtin.gguf';
const BUILTIN: ModelSource = { kind: 'builtin', url: new URL(BUILTIN_PATH, document.baseURI).href };
const BUILTIN_NAME = 'the built-in model';

/** The model that is served with the page: a small story-teller, presented as such. */
export const isBuiltin = ({ origin }: ModelSummary): boolean =>
  origin.endsWith(BUILTIN_PATH) || origin.endsWith('builtin.gguf');

/** First open: the built-in model is imported and loaded by itself. Later: the model used last. */
export async function startModels(): Promise<void> {
  await Promise.all([refreshModels(), probe()]);
  const complete = models.value.filter(({ state }) => state === 'complete');
  const last = complete.find(({ id }) => id === settings.value.lastModelId) ?? complete[0];
  if (last) await loadModel(last);
  else if (!gpuProblem.value) await importModel(BUILTIN, BUILTIN_NAME);
}

async function probe(): Promise<void> {
  try {
    adapter.value = await engine.probe();
  } catch (error) {
    gpuProblem.value = errorToData(error);
  }
}

export async function refreshModels(): Promise<void> {
  [models.value, unfinished.value] = await Promise.all([importer.list(), importer.unfinished()]);
}

/** Imports a model and loads it. */
export async function importModel(source: ModelSource, name: string): Promise<void> {
  // Not for the built-in model: the first visit asks for nothing, and it comes again by itself.
  if (source.kind !== 'builtin') void askToPersist();
  let early: Promise<void> | undefined;
  await watched('import', name, async (onProgress) => {
    const watch = (progress: ImportProgress): void => {
      onProgress(progress);
      // The first model a user meets: it is loaded, and its kernels compiled, while the rest of it is stored.
      if (source.kind === 'builtin' && progress.usableId && !loaded.value)
        early ??= useModel({ id: progress.usableId, name });
    };
    const summary = await importer
      .import(source, proxy(watch), { storage: settings.value.storageBackend })
      .catch(async (error: unknown) => {
        await early; // fails for want of the rest; the reason is what is to be read last
        throw error;
      });
    runningImport.value = undefined;
    await refreshModels();
    notifyTabs();
    await early;
    announcement.value = `${summary.name} is imported.`;
    if (loaded.value?.summary.id === summary.id) {
      loaded.value = { ...loaded.value, summary }; // it was used while it came
      return;
    }
    // A conversation that goes on is not taken off its model.
    const inConversation = view.value === 'chat' && current.value !== undefined && loaded.value !== undefined;
    if (inConversation || generating.value) imported.value = summary;
    else await useModel(summary);
  });
}

export const importBuiltin = (): Promise<void> => importModel(BUILTIN, BUILTIN_NAME);

/** Stops the import and removes what it stored. */
export async function cancelImport(): Promise<void> {
  const id = runningImport.value?.progress?.usableId;
  if (id !== undefined && loaded.value?.summary.id === id) await unload();
  await importer.cancel();
}

/** Loads a model whose experts are still on their way; those that are asked for come first. */
export async function useEarly(): Promise<void> {
  const running = runningImport.value;
  if (running?.progress?.usableId) await useModel({ id: running.progress.usableId, name: running.name });
}

/** Stops the import; it can go on later from where it was, after the tab was closed too. */
export function pauseImport(): void {
  void importer.pause();
}

/** Gives up an import that was paused or cut off. */
export async function forgetImport(id: string): Promise<void> {
  try {
    await importer.remove(id);
    await refreshModels();
  } catch (error) {
    report(error);
  }
}

/** Fetches the damaged records of a model again from where it came from. */
export async function repairModel(model: ModelSummary): Promise<void> {
  await watched('repair', model.name, async (onProgress) => {
    await importer.repair(model.id, proxy(onProgress), accessToken());
    announcement.value = `${model.name} is repaired.`;
  });
}

/** Reads every stored byte of a model again and compares it with its hash. Returns how many records are damaged. */
export async function verifyModel(model: ModelSummary): Promise<number | undefined> {
  let damaged: string[] | undefined;
  await watched('verify', model.name, async (onProgress) => {
    damaged = await importer.verify(model.id, proxy(onProgress));
    if (damaged.length > 0) {
      const records = damaged.length === 1 ? '1 record is' : `${damaged.length} records are`;
      throw new MixtabError(
        'record-damaged',
        `${model.name}: ${records} damaged on this disk.`,
        'Repair it on the models page.',
      );
    }
    announcement.value = `${model.name} is undamaged.`;
  });
  return damaged?.length;
}

async function watched(
  kind: RunningImport['kind'],
  name: string,
  work: (onProgress: (progress: ImportProgress) => void) => Promise<void>,
): Promise<void> {
  if (runningImport.value) return;
  problem.value = undefined;
  runningImport.value = { kind, name, progress: undefined, rate: newRate() };
  try {
    await work((progress) => {
      const running = runningImport.value;
      if (running)
        runningImport.value = {
          ...running,
          progress,
          rate: addSample(running.rate, progress.bytesDone, performance.now()),
        };
    });
  } catch (error) {
    report(error);
  } finally {
    runningImport.value = undefined;
    await refreshModels().catch(report); // what was left unfinished, or is damaged or no longer so
  }
}

export async function removeModel(model: ModelSummary): Promise<void> {
  try {
    await requireUnusedElsewhere(model);
    if (loaded.value?.summary.id === model.id) await unload();
    await importer.remove(model.id);
    await Promise.all([refreshModels(), refreshSessions()]);
    notifyTabs();
    announcement.value = `${model.name} is removed.`;
  } catch (error) {
    report(error);
  }
}

async function unload(): Promise<void> {
  await stopAndWait();
  await leaveModel();
  await engine.unload();
  loaded.value = undefined;
}

/** What names a model. */
type Named = Pick<ModelSummary, 'id' | 'name'>;

/** Loads one after the other: a model may have been imported while another one is being loaded. */
let loads: Promise<void> = Promise.resolve();

/** Puts a stored model on the GPU; the one before leaves it. Never rejects: what goes wrong is shown. */
export function loadModel(model: Named): Promise<void> {
  loads = loads.then(() => loadNow(model)).catch(report); // caught: the next load must not be held up
  return loads;
}

async function loadNow(model: Named): Promise<void> {
  if (gpuProblem.value) return;
  await stopAndWait();
  await leaveModel();
  problem.value = undefined;
  overflow.value = undefined;
  loaded.value = undefined;
  loading.value = { name: model.name, progress: undefined };
  try {
    loaded.value = await engine.load(
      { modelId: model.id, ...loadOptionsOf(settings.value) },
      proxy((progress) => {
        if (loading.value) loading.value = { ...loading.value, progress };
      }),
    );
    changeSettings({ lastModelId: model.id });
  } catch (error) {
    report(error);
  } finally {
    loading.value = undefined;
  }
}

/** Loads a model and shows an empty conversation for it. */
export async function useModel(model: Named): Promise<void> {
  imported.value = undefined;
  await loadModel(model);
  if (loaded.value?.summary.id !== model.id) return;
  if (current.value && current.value.modelId !== model.id) openConversation(undefined);
  showView('chat');
}

/** Loads the current model again, after its settings changed or the device was lost. */
export async function reloadModel(): Promise<void> {
  const id = loaded.value?.summary.id ?? settings.value.lastModelId;
  const model = models.value.find((candidate) => candidate.id === id);
  if (model) await loadModel(model);
}
