/** What the page shows beside the conversations, as signals. Only the modules beside this one change them. */
import { computed, signal } from '@preact/signals';
import type { AdapterReport, LoadedModel, LoadProgress } from '../../contract/engine-api.ts';
import type { ErrorData } from '../../contract/errors.ts';
import type { ImportProgress, ModelSummary, StoredSession, UnfinishedImport } from '../../contract/import-api.ts';
import { current, streamingIn } from './conversations.ts';
import type { Rate } from './transfer-rate.ts';

/** An import, or the check of a stored model. */
export interface RunningImport {
  kind: 'import' | 'verify' | 'repair';
  name: string;
  progress: ImportProgress | undefined;
  rate: Rate;
}

/** What a prompt that the context cannot hold needs of the user. */
export interface Overflow {
  conversationId: string;
  /** The turn after which the answer belongs. */
  after: string;
  context: number;
}

/** Work of the experts' view that has the engine for itself, as an answer does. */
export interface Experiment {
  kind: 'routing' | 'generating' | 'measuring';
  /** Tokens; 0 of 0 where that is not known yet. */
  done: number;
  total: number;
}

export const models = signal<ModelSummary[]>([]);
/** Imports that were paused or cut off. */
export const unfinished = signal<UnfinishedImport[]>([]);
export const adapter = signal<AdapterReport | undefined>(undefined);
/** Why there is no WebGPU; undefined where there is. */
export const gpuProblem = signal<ErrorData | undefined>(undefined);
export const problem = signal<ErrorData | undefined>(undefined);
export const runningImport = signal<RunningImport | undefined>(undefined);
/** The model that is being put on the GPU. */
export const loading = signal<{ name: string; progress: LoadProgress | undefined } | undefined>(undefined);
export const loaded = signal<LoadedModel | undefined>(undefined);
export const generating = signal(false);
export const experiment = signal<Experiment | undefined>(undefined);
/** The user has asked to stop; the token in flight is still to come. */
export const stopping = signal(false);
/** Share of the prompt that is read, while it is. */
export const prefill = signal<{ done: number; total: number } | undefined>(undefined);
/** What the disk keeps of what models have read, oldest first (sessions.ts). */
export const sessions = signal<StoredSession[]>([]);
/** A model that came while the user was in a conversation with another one. */
export const imported = signal<ModelSummary | undefined>(undefined);
export const overflow = signal<Overflow | undefined>(undefined);
export const updateReady = signal<(() => void) | undefined>(undefined);
/** Said to screen readers when it changes. */
export const announcement = signal('');

/** Whether the page shows messages or one text: what the conversation is, or what the model can. */
export const isChat = computed(() =>
  current.value ? current.value.kind === 'chat' : (loaded.value?.summary.hasChatTemplate ?? false),
);
/** The conversation is a chat, and the model can only continue text. */
export const wrongModel = computed(
  () => isChat.value && loaded.value !== undefined && !loaded.value.summary.hasChatTemplate,
);
/** The conversation on the page is the one that is being written. */
export const streamingHere = computed(() => generating.value && streamingIn.value === current.value?.id);
export const canSend = computed(
  () =>
    loaded.value !== undefined &&
    !streamingHere.value &&
    experiment.value === undefined &&
    loading.value === undefined &&
    !wrongModel.value,
);
