/** What the page shows, as signals. Only controller.ts changes them. */
import { computed, signal } from '@preact/signals';
import type { AdapterReport, ImportProgress, LoadedModel, LoadProgress, ModelSummary } from '../contract/engine-api.ts';
import type { ErrorData } from '../contract/errors.ts';

export interface RunningImport {
  name: string;
  progress: ImportProgress | undefined;
  startedAt: number;
}

export const models = signal<ModelSummary[]>([]);
export const adapter = signal<AdapterReport | undefined>(undefined);
/** Why there is no WebGPU; undefined where there is. */
export const gpuProblem = signal<ErrorData | undefined>(undefined);
export const problem = signal<ErrorData | undefined>(undefined);
export const runningImport = signal<RunningImport | undefined>(undefined);
/** The model that is being put on the GPU. */
export const loading = signal<{ name: string; progress: LoadProgress | undefined } | undefined>(undefined);
export const loaded = signal<LoadedModel | undefined>(undefined);
export const generating = signal(false);
/** Share of the prompt that is read, while it is. */
export const prefill = signal<{ done: number; total: number } | undefined>(undefined);
export const updateReady = signal<(() => void) | undefined>(undefined);

export const isChat = computed(() => loaded.value?.summary.hasChatTemplate ?? false);
export const canSend = computed(() => loaded.value !== undefined && !generating.value && loading.value === undefined);
