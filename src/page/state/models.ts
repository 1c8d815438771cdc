/**
 * The stored models and the one on the GPU, as signals. Changed by the services `model-store.ts` (what is stored),
 * `model-loader.ts` (what is loaded) and `tabs.ts` (other tabs). `report` clears `loaded` if an error ended the model.
 */
import { signal } from '@preact/signals';
import type { AdapterReport, LoadedModel, LoadProgress } from '../../contract/engine-api.ts';
import type { ErrorData } from '../../contract/errors.ts';
import type { ModelSummary } from '../../contract/import-api.ts';

/** All models in the store, damaged ones included. */
export const models = signal<ModelSummary[]>([]);
/** The WebGPU adapter; undefined until the engine worker has asked for it, and if there is none. */
export const adapter = signal<AdapterReport | undefined>(undefined);
/** Why WebGPU cannot be used; undefined if it can. */
export const gpuProblem = signal<ErrorData | undefined>(undefined);
/** The model that is being loaded onto the GPU. */
export const loading = signal<{ name: string; progress: LoadProgress | undefined } | undefined>(undefined);
/** The model on the GPU. */
export const loaded = signal<LoadedModel | undefined>(undefined);
/** Ids of the models that other tabs have on the GPU. */
export const loadedElsewhere = signal<string[]>([]);
