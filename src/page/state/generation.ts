/**
 * What the engine computes now, and whether the user can send, as signals. Changed by the services `engine-runs.ts`,
 * `answers.ts` and `experiments.ts`; `overflow` also by `model-loader.ts`.
 */
import { computed, signal } from '@preact/signals';
import { current, streamingIn } from './conversations.ts';
import { loaded, loading } from './models.ts';

/** A prompt that exceeds the context: the user decides what to do. */
export interface Overflow {
  conversationId: string;
  /** Id of the turn after which the answer belongs. */
  after: string;
  /** Tokens that the context holds. */
  context: number;
}

/** Work for the experts view. Like an answer, it has the engine to itself. */
export interface Experiment {
  kind: 'routing' | 'following' | 'laboratory' | 'context' | 'texts';
  /** Tokens computed so far, of `total`. Both are 0 until the total is known. */
  done: number;
  total: number;
}

/** True while an answer is being written, in whichever conversation. */
export const generating = signal(false);
/** The experiment that is running. */
export const experiment = signal<Experiment | undefined>(undefined);
/** The user has asked to stop. The token in flight still arrives. */
export const stopping = signal(false);
/** What the engine computes has not ended for some seconds after the user asked to stop. */
export const stopHangs = signal(false);
/** Tokens of the prompt that were computed, of `total`; undefined except during prefill. */
export const prefill = signal<{ done: number; total: number } | undefined>(undefined);
/** Set if a prompt exceeds the context, until the user decides what to do. */
export const overflow = signal<Overflow | undefined>(undefined);

/** Whether the page shows a chat or one text. Decided by the conversation; for a new one, by the loaded model. */
export const isChat = computed(() =>
  current.value ? current.value.kind === 'chat' : (loaded.value?.summary.hasChatTemplate ?? false),
);
/** The conversation is a chat, but the loaded model can only continue text. */
export const wrongModel = computed(
  () => isChat.value && loaded.value !== undefined && !loaded.value.summary.hasChatTemplate,
);
/** An answer is being written in the conversation that the page shows. */
export const streamingHere = computed(() => generating.value && streamingIn.value === current.value?.id);
/** Whether an answer can start in the current conversation. An answer in another one is stopped then. */
export const canSend = computed(
  () =>
    loaded.value !== undefined &&
    !streamingHere.value &&
    experiment.value === undefined &&
    loading.value === undefined &&
    !wrongModel.value,
);
