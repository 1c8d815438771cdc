/** What the user does in a conversation: send, edit, regenerate, continue. Also streams the model's answers. */
import type { EngineApi, GeneratedToken, GenerateRequest, GenerateResult } from '../../contract/engine-api.ts';
import { type ErrorCode, errorToData, losesModel, throwIfAborted } from '../../contract/errors.ts';
import { proxy } from '../../contract/rpc.ts';
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
import { canSend, experiment, generating, isChat, overflow, prefill } from '../state/generation.ts';
import { markLoading, noteFailure } from '../state/load-mark.ts';
import { loaded } from '../state/models.ts';
import { newId } from '../state/new-id.ts';
import { announcement, problem } from '../state/notices.ts';
import { type Settings, settings } from '../state/settings.ts';
import { requestFor, statsOf } from './answer-request.ts';
import type { EngineRuns } from './engine-runs.ts';
import type { ModelLoader } from './model-loader.ts';
import { report } from './problems.ts';
import type { Sessions } from './sessions.ts';
import { StreamedTurn } from './streamed-turn.ts';

/** What answers need from the rest of the page. */
export interface AnswerDependencies {
  engine: Pick<EngineApi, 'generate'>;
  runs: EngineRuns;
  sessions: Pick<Sessions, 'prepare' | 'answered'>;
  loader: Pick<ModelLoader, 'recover' | 'reload'>;
}

/**
 * Errors after which the page loads the model again by itself. The second one: the device was lost while nothing was
 * computed, for example in sleep, and something else has already noticed it.
 */
const RECOVERABLE: readonly ErrorCode[] = ['webgpu-device-lost', 'no-model-loaded'];
/** How often the model is loaded again for one answer. A device that is lost more often is lost because of it. */
const MAX_RECOVERIES = 3;

/** Where the model writes. */
interface AnswerTarget {
  conversationId: string;
  /** Id of the turn before the answer; null for the first turn. */
  after: string | null;
  /** A turn that the model continues; undefined: it begins a new one. */
  continued: Turn | undefined;
}

/** An answer that ended with its model, and can continue from its last token. */
interface Interrupted {
  /** As it was when the answer began. */
  target: AnswerTarget;
  /** The turn that holds the answer so far; absent if it had not begun. */
  turn?: Turn;
  modelId: string;
  request: GenerateRequest;
  tokens: GeneratedToken[];
}

/** Adds turns to conversations and lets the model answer them. Errors are shown to the user. */
export class Answers {
  readonly #engine: AnswerDependencies['engine'];
  readonly #runs: EngineRuns;
  readonly #sessions: AnswerDependencies['sessions'];
  readonly #loader: AnswerDependencies['loader'];
  #interrupted: Interrupted | undefined;

  constructor({ engine, runs, sessions, loader }: AnswerDependencies) {
    this.#loader = loader;
    this.#engine = engine;
    this.#runs = runs;
    this.#sessions = sessions;
  }

  /** Adds the user's text and lets the model answer it. With an empty text, the model continues the existing text. */
  async send(text: string): Promise<void> {
    if (!canSend.value) return;
    // Before anything is waited for: the text is kept in any case, in the conversation that it was written for.
    const { id } = current.value ?? beginConversation(isChat.value ? 'chat' : 'text');
    let after = currentPath.value.at(-1)?.id;
    if (text !== '') {
      const turn = newTurn('user', after ?? null, text);
      updateConversation(id, (conversation) => addTurn(conversation, turn));
      after = turn.id;
    }
    if (after !== undefined && (await this.#engineIsReady())) await this.answerAfter(id, after);
  }

  /** Adds another version of a message, and an answer to it. */
  async editMessage(turn: Turn, text: string): Promise<void> {
    const conversation = current.value;
    if (!conversation || text.trim() === '' || !(await this.#engineIsReady())) return;
    const edited = newTurn('user', turn.parent, text.trim());
    updateConversation(conversation.id, (before) => addTurn(before, edited));
    await this.answerAfter(conversation.id, edited.id);
  }

  /** Adds another version of the whole text, written by the user. */
  editText(text: string): void {
    const conversation = current.value;
    if (!conversation || text === '' || text === textOf(currentPath.value)) return;
    updateConversation(conversation.id, (before) => ({
      ...addTurn(before, newTurn('user', null, text)),
      seenFrom: undefined,
    }));
  }

  /** Adds another version of an answer. */
  async regenerate(turn: Turn): Promise<void> {
    const id = current.value?.id;
    if (id === undefined || turn.parent === null || !(await this.#engineIsReady())) return;
    await this.answerAfter(id, turn.parent);
  }

  /** Answers a message that has no answer, because the page was closed or the model was lost before its first word. */
  async answerMessage(turn: Turn): Promise<void> {
    const id = current.value?.id;
    if (id !== undefined && (await this.#engineIsReady())) await this.answerAfter(id, turn.id);
  }

  /** Continues an answer that was stopped or reached its maximum length. */
  async continueAnswer(turn: Turn): Promise<void> {
    const id = current.value?.id;
    if (id === undefined || !(await this.#engineIsReady())) return;
    await this.#start({ conversationId: id, after: turn.parent, continued: turn });
  }

  /**
   * Loads the model again after an error ended it. If that interrupted an answer, the answer continues.
   * @param changes settings to change before that
   */
  async reloadAndResume(changes?: Partial<Settings>): Promise<void> {
    await this.#loader.reload(changes);
    const stopped = this.#interrupted;
    if (!stopped || loaded.value?.summary.id !== stopped.modelId || !(await this.#engineIsReady())) return;
    await this.#start(stopped.target, stopped);
  }

  /** Lets the model write a turn after turn `after`. Never rejects: errors are shown to the user. */
  answerAfter(conversationId: string, after: string | null): Promise<void> {
    return this.#start({ conversationId, after, continued: undefined });
  }

  /** Whether an answer may start. One that is being written in another conversation is stopped first. */
  async #engineIsReady(): Promise<boolean> {
    if (!canSend.value) return false;
    await this.#runs.stopAndWait();
    // The user may have started something else while this waited.
    return !generating.value && !experiment.value;
  }

  /** @param resumed an interrupted answer that continues; its target is `target` */
  #start(target: AnswerTarget, resumed?: Interrupted): Promise<void> {
    return this.#runs.start((signal) => this.#write(target, signal, resumed));
  }

  /** Writes one answer. Another conversation may be opened meanwhile: the text still goes into this one. */
  async #write(target: AnswerTarget, signal: AbortSignal, resumed: Interrupted | undefined): Promise<void> {
    const { conversationId, after, continued } = target;
    const turn = resumed?.turn ?? continued ?? newTurn('model', after, '');
    const conversation = beginAnswer(conversationId, turn, turn === resumed?.turn || turn === continued);
    this.#interrupted = undefined;
    if (!conversation) return; // deleted
    const streamed = new StreamedTurn({
      conversationId,
      turnId: turn.id,
      textBefore: continued?.text ?? '',
      kind: conversation.kind,
      signal,
      ...(resumed && { tokens: resumed.tokens }),
    });
    const storeTurn = (changes: Partial<Turn>): void => {
      streamed.end();
      updateConversation(conversationId, (before) => changeTurn(before, turn.id, changes));
    };
    const until = continued?.id ?? after ?? turn.id;
    const request = resumed?.request ?? requestFor(conversation, until, settings.value, randomSeed());
    const modelId = loaded.value?.summary.id;
    try {
      const result = await this.#generate(conversationId, request, streamed, signal);
      storeTurn({ text: streamed.textWith(result.text), stats: statsOf(result, loaded.value?.context, continued) });
      announcement.value = result.text;
      markLoading(undefined); // the model works
      this.#sessions.answered(conversationId);
    } catch (error) {
      storeTurn({ text: streamed.text });
      if (losesModel(errorToData(error))) noteFailure(error);
      reportFailure(error, conversationId, after ?? turn.id);
      const { tokens } = streamed;
      if (losesModel(errorToData(error)) && modelId !== undefined)
        this.#interrupted = { target, modelId, request, tokens, ...(tokens.length > 0 && { turn }) };
    } finally {
      endAnswer(conversationId, turn.id);
    }
  }

  /** Generates an answer. If the model's device is lost meanwhile, loads the model again and continues. */
  async #generate(
    conversationId: string,
    request: GenerateRequest,
    streamed: StreamedTurn,
    signal: AbortSignal,
  ): Promise<GenerateResult> {
    for (let recoveries = 0; ; recoveries++) {
      const { tokens } = streamed;
      const tokensBefore = tokens.length;
      await this.#sessions.prepare(conversationId);
      throwIfAborted(signal);
      try {
        const resume = tokens.length > 0 && { resume: [...tokens] };
        return await this.#engine.generate({ ...request, ...resume }, proxy(streamed.onEvent));
      } catch (error) {
        const hopeless = recoveries > 0 && tokens.length === tokensBefore;
        if (!RECOVERABLE.includes(errorToData(error).code) || hopeless || recoveries >= MAX_RECOVERIES) throw error;
        // If the user stops it, the error is shown with a button: nothing is loaded.
        if (!(await this.#loader.recover(signal))) throw error;
      }
    }
  }
}

/** A u32. */
const randomSeed = (): number => crypto.getRandomValues(new Uint32Array(1))[0];

const newTurn = (by: Turn['by'], parent: string | null, text: string): Turn => ({
  id: newId(),
  parent,
  by,
  text,
  at: Date.now(),
  ...(by === 'model' && loaded.value && { model: loaded.value.summary.name }),
});

/** Adds the empty turn, unless a turn is continued, and notes the model. undefined: the conversation does not exist. */
function beginAnswer(conversationId: string, turn: Turn, isContinued: boolean): Conversation | undefined {
  const summary = loaded.value?.summary;
  const begun = updateConversation(
    conversationId,
    (conversation) => ({
      ...(isContinued ? conversation : addTurn(conversation, turn)),
      changedAt: Date.now(),
      ...(summary && { modelId: summary.id, modelName: summary.name }),
    }),
    { store: false },
  );
  if (!begun) return undefined;
  problem.value = undefined;
  overflow.value = undefined;
  announcement.value = '';
  generating.value = true;
  return begun;
}

/** A prompt that exceeds the context is the user's decision (`overflow`), all else is an error. */
function reportFailure(error: unknown, conversationId: string, after: string): void {
  if (errorToData(error).code === 'context-overflow' && loaded.value)
    overflow.value = { conversationId, after, context: loaded.value.context };
  else report(error);
}

function endAnswer(conversationId: string, turnId: string): void {
  // An answer without a first token leaves no empty turn.
  updateConversation(conversationId, (conversation) =>
    turnOf(conversation, turnId)?.text === '' ? removeTurn(conversation, turnId) : conversation,
  );
  generating.value = false;
  prefill.value = undefined;
  streaming.value = undefined;
}
