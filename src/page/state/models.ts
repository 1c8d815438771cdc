/**
 * The stored models and the loaded one, as signals. Changed by the services `model-store.ts` (what is stored),
 * `model-loader.ts` (what is loaded) and `tabs.ts` (other tabs). `report` clears `loaded` if an error ended the model.
 */
import { computed, signal } from '@preact/signals';
import type { LoadedModel, LoadProgress, ProbeReport } from '../../contract/engine-api.ts';
import type { ErrorData } from '../../contract/errors.ts';
import type { ModelSummary } from '../../contract/import-api.ts';

/** All models in the store, damaged ones included. */
export const models = signal<ModelSummary[]>([]);
/** Whether they were read. */
export const modelsAreRead = signal(false);
/** What this browser offers for computing; undefined until the engine worker has found out. */
export const probed = signal<ProbeReport | undefined>(undefined);
/** Why no model can run here: a problem of the GPU, and one of the CPU. Empty if one can. */
export const computeProblems = computed<ErrorData[]>(() => {
  if (!probed.value) return [];
  const { automatic, gpuError, cpuError } = probed.value;
  // The CPU could compute, but over http browsers also lack the hashes and locks that storing a model needs.
  if (gpuError?.code === 'webgpu-insecure-context') return [gpuError];
  return automatic ? [] : [gpuError, cpuError].filter((error) => error !== undefined);
});
/** A load that is running. */
export interface Loading {
  name: string;
  progress: LoadProgress | undefined;
  /** After the device of the model was lost. */
  again?: true;
  /** The browser does not offer the device yet; the page tries again for two minutes. */
  deviceAbsent?: true;
  /** The user has cancelled it. */
  stopping?: true;
}

/** The model that is being loaded. */
export const loading = signal<Loading | undefined>(undefined);
/** The loaded model. */
export const loaded = signal<LoadedModel | undefined>(undefined);
/** The model that was loaded last, even if an error has ended it. */
export const lastLoaded = signal<LoadedModel | undefined>(undefined);
/** Id of the model that was to be loaded last, even if that failed. */
export const requestedId = signal<string | undefined>(undefined);
/** How many calls of {@link towardsModel} have not ended. */
export const pendingLoads = signal(0);

/** Runs work that should end with a loaded model. Meanwhile the page does not offer to load one. */
export async function towardsModel<T>(work: () => Promise<T>): Promise<T> {
  pendingLoads.value = pendingLoads.peek() + 1;
  try {
    return await work();
  } finally {
    pendingLoads.value = pendingLoads.peek() - 1;
  }
}

/** Ids of the models that other tabs have loaded or are loading. */
export const loadedElsewhere = signal<string[]>([]);
