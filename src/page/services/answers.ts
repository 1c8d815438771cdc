/** Writing: what is sent to the model, and where its words go. */

import type { GenerateEvent, GenerateRequest, GenerateResult } from '../../contract/engine-api.ts';
import { aborted, errorToData } from '../../contract/errors.ts';
import { proxy } from '../../contract/rpc.ts';
import { messagesFor, textFor } from '../state/context-window.ts';
import {
  addTurn,
  type Conversation,
  changeTurn,
  removeTurn,
  type Turn,
  textOf,
  turnOf,
} from '../state/conversation-tree.ts';
import { beginConversation, current, currentPath, streaming, updateConversation } from '../state/conversations.ts';
import { samplingOf } from '../state/generation-settings.ts';
import { newId } from '../state/new-id.ts';
import { lossyOf, settings } from '../state/settings.ts';
import {
  announcement,
  canSend,
  type Experiment,
  experiment,
  generating,
  isChat,
  loaded,
  loading,
  overflow,
  prefill,
  problem,
  stopping,
} from '../state/state.ts';
import { report } from './problems.ts';
import { answered, leaveCache, prepareSession } from './sessions.ts';
import { engine } from './workers.ts';

/** Tokens come faster than a page needs to be drawn. */
const SHOW_EVERY_MS = 40;
/** How much of an answer a crash may cost. */
const KEEP_EVERY_MS = 2000;

/** Adds the user's words and lets the model answer, or continue the text. An empty text continues. */
export async function send(text: string): Promise<void> {
  if (!canSend.value) return;
  await stopAndWait(); // in another conversation
  const { id } = current.value ?? beginConversation(isChat.value ? 'chat' : 'text');
  const last = currentPath.value.at(-1);
  if (text === '') {
    if (last) await answer(id, last.id);
    return;
  }
  const turn = newTurn('user', last?.id ?? null, text);
  updateConversation(id, (conversation) => addTurn(conversation, turn));
  await answer(id, turn.id);
}

/** Another version of a message, and an answer to it. */
export async function editMessage(turn: Turn, text: string): Promise<void> {
  const conversation = current.value;
  if (!conversation || !canSend.value || text.trim() === '') return;
  const edited = newTurn('user', turn.parent, text.trim());
  updateConversation(conversation.id, (before) => addTurn(before, edited));
  await answer(conversation.id, edited.id);
}

/** Another version of the whole text, by the user. */
export function editText(text: string): void {
  const conversation = current.value;
  if (!conversation || text === '' || text === textOf(currentPath.value)) return;
  updateConversation(conversation.id, (before) => ({
    ...addTurn(before, newTurn('user', null, text)),
    seenFrom: undefined,
  }));
}

/** Another version of an answer. */
export async function regenerate(turn: Turn): Promise<void> {
  if (current.value && turn.parent !== null && canSend.value) await answer(current.value.id, turn.parent);
}

/** Goes on with an answer that was stopped or reached its length. */
export async function continueAnswer(turn: Turn): Promise<void> {
  if (current.value && canSend.value) await answer(current.value.id, turn.parent, turn);
}

export function stop(): void {
  if (!generating.value && !experiment.value) return;
  stopping.value = true;
  void engine.stop();
}

/** Settles when nothing has the engine for itself. */
let running: Promise<void> = Promise.resolve();

export async function stopAndWait(): Promise<void> {
  stop();
  await running;
}

/**
 * Lets work of the experts' view have the engine; nothing where an answer or other such work has it. What else needs the
 * engine (another model) ends it by `stopAndWait`. Never throws: what goes wrong is shown.
 */
export async function runExperiment(
  kind: Experiment['kind'],
  work: (onProgress: (done: number, total: number) => void) => Promise<void>,
): Promise<void> {
  if (!loaded.value || generating.value || experiment.value || loading.value) return;
  problem.value = undefined;
  announcement.value = '';
  experiment.value = { kind, done: 0, total: 0 };
  let over = false;
  const onProgress = (done: number, total: number): void => {
    // Callbacks come by another way than results, and may be late.
    if (!over) experiment.value = { kind, done, total };
  };
  const alone = async (): Promise<void> => {
    await leaveCache();
    if (stopping.value) throw aborted();
    await work(onProgress);
  };
  running = alone()
    .catch(report)
    .finally(() => {
      over = true;
      experiment.value = undefined;
      stopping.value = false;
    });
  await running;
}

const newTurn = (by: Turn['by'], parent: string | null, text: string): Turn => ({
  id: newId(),
  parent,
  by,
  text,
  at: Date.now(),
  ...(by === 'model' && loaded.value && { model: loaded.value.summary.name }),
});

/** Lets the model write the turn after `after`, or go on with `continued`. */
export function answer(conversationId: string, after: string | null, continued?: Turn): Promise<void> {
  running = writeAnswer(conversationId, after, continued);
  return running;
}

/**
 * Lets the model write the turn after `after`, or go on with `continued`. Never throws: what goes wrong is shown.
 * The conversation may leave the page meanwhile, the words still go into it.
 */
async function writeAnswer(conversationId: string, after: string | null, continued: Turn | undefined): Promise<void> {
  const turn = continued ?? newTurn('model', after, '');
  const before = continued?.text ?? '';
  const started = updateConversation(
    conversationId,
    (conversation) => withModel(continued ? conversation : addTurn(conversation, turn)),
    false,
  );
  if (!started) return;
  problem.value = undefined;
  overflow.value = undefined;
  announcement.value = '';
  generating.value = true;
  const shown = showingText(conversationId, turn.id, before, started.kind === 'chat');
  try {
    await prepareSession(conversationId);
    if (stopping.value) throw aborted();
    const result = await engine.generate(requestFor(started, continued?.id ?? after ?? turn.id), proxy(shown.onEvent));
    shown.end();
    const text = shown.joined(result.text);
    updateConversation(conversationId, (conversation) =>
      changeTurn(conversation, turn.id, { text, stats: statsOf(result, continued) }),
    );
    announcement.value = result.text;
    answered(conversationId);
  } catch (error) {
    shown.end();
    updateConversation(conversationId, (conversation) => changeTurn(conversation, turn.id, { text: shown.text() }));
    if (errorToData(error).code === 'context-overflow' && loaded.value) {
      overflow.value = { conversationId, after: after ?? turn.id, context: loaded.value.context };
    } else report(error);
  } finally {
    // Nothing came: no empty answer is left standing.
    updateConversation(conversationId, (conversation) =>
      turnOf(conversation, turn.id)?.text === '' ? removeTurn(conversation, turn.id) : conversation,
    );
    generating.value = false;
    stopping.value = false;
    prefill.value = undefined;
    streaming.value = undefined;
  }
}

function withModel(conversation: Conversation): Conversation {
  const summary = loaded.value?.summary;
  return { ...conversation, changedAt: Date.now(), ...(summary && { modelId: summary.id, modelName: summary.name }) };
}

function requestFor(conversation: Conversation, until: string): GenerateRequest {
  const lossy = lossyOf(settings.value);
  return {
    input:
      conversation.kind === 'chat'
        ? { kind: 'chat', messages: messagesFor(conversation, until) }
        : { kind: 'text', text: textFor(conversation, until) },
    maxTokens: conversation.generation.maxTokens,
    sampling: samplingOf(conversation.generation),
    ...(lossy && { lossy }),
  };
}

function statsOf(
  { promptTokens, reusedTokens, tokens, timings, cache, finishReason }: GenerateResult,
  continued: Turn | undefined,
): Turn['stats'] {
  const contextFull =
    finishReason === 'length' &&
    promptTokens.length + tokens.length >= (loaded.value?.context ?? Number.POSITIVE_INFINITY);
  return {
    promptTokens: promptTokens.length - (continued?.stats?.tokens ?? 0),
    newTokens: promptTokens.length - reusedTokens,
    tokens: tokens.length + (continued?.stats?.tokens ?? 0),
    tokensPerSecond: timings.decodeTokensPerSecond,
    prefillMs: timings.prefillMs,
    hitRate: cache.hitRate,
    finishReason,
    ...(contextFull && { contextFull }),
  };
}

/** Shows words as they come, a few times a second, and keeps them every now and then. */
function showingText(conversationId: string, turnId: string, before: string, isMessage: boolean) {
  let text = before;
  // The first token of an answer brings the space that stood before it.
  const joined = (added: string): string => (isMessage && before === '' ? added.trimStart() : before + added);
  let added = '';
  let timer: ReturnType<typeof setTimeout> | undefined;
  let keptAt = performance.now();
  const show = (): void => {
    timer = undefined;
    streaming.value = { conversationId, turnId, text };
    if (performance.now() - keptAt < KEEP_EVERY_MS) return;
    keptAt = performance.now();
    updateConversation(conversationId, (conversation) => changeTurn(conversation, turnId, { text }));
  };
  show();
  return {
    text: () => text,
    joined,
    onEvent(event: GenerateEvent): void {
      if (event.type === 'prefill') {
        prefill.value = { done: event.tokensDone, total: event.tokensTotal };
        return;
      }
      prefill.value = undefined;
      added += event.token.text;
      text = joined(added);
      if (!stopping.value) timer ??= setTimeout(show, SHOW_EVERY_MS);
    },
    end: () => clearTimeout(timer),
  };
}
