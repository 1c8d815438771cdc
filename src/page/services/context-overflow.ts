/** What the user can do if a conversation exceeds the context. Nothing is left out unless the user asks for it. */
import type { EngineApi } from '../../contract/engine-api.ts';
import { MixtabError } from '../../contract/errors.ts';
import { cutText, firstKept, positionAt } from '../state/context-window.ts';
import { type Conversation, pathOf, textOf } from '../state/conversation-tree.ts';
import { conversations, current, currentPath, openConversation, updateConversation } from '../state/conversations.ts';
import { experiment, generating, overflow } from '../state/generation.ts';
import { loaded } from '../state/models.ts';
import { changeSettings } from '../state/settings.ts';
import type { Answers } from './answers.ts';
import type { ModelLoader } from './model-loader.ts';
import { report } from './problems.ts';

/** Estimate of the tokens that a template puts around one message; the real number is rarely higher. */
const TEMPLATE_TOKENS_PER_MESSAGE = 8;

/** Longest end of a text that is kept; more than any context of today's models holds. */
const MAX_END_CHARACTERS = 1_000_000;

/** What the remedies need from the rest of the page. */
export interface ContextOverflowDependencies {
  engine: Pick<EngineApi, 'tokenize'>;
  answers: Pick<Answers, 'answerAfter'>;
  loader: Pick<ModelLoader, 'reload'>;
}

/** The remedies that a full context offers to the user. */
export class ContextOverflow {
  readonly #engine: ContextOverflowDependencies['engine'];
  readonly #answers: ContextOverflowDependencies['answers'];
  readonly #loader: ContextOverflowDependencies['loader'];

  constructor({ engine, answers, loader }: ContextOverflowDependencies) {
    this.#engine = engine;
    this.#answers = answers;
    this.#loader = loader;
  }

  /** Hides the oldest part of the conversation from the model (it stays on the page), and tries again. */
  async leaveOutOldest(): Promise<void> {
    const conversation = current.value;
    const context = loaded.value?.context;
    if (!conversation || context === undefined || generating.value || experiment.value) return;
    const after = overflow.value?.after;
    try {
      const seenFrom = await this.#positionToKeep(conversation, context);
      updateConversation(conversation.id, (before) => ({ ...before, seenFrom }));
    } catch (error) {
      report(error);
      return;
    }
    const last = currentPath.value.at(-1);
    if (after !== undefined || last?.by === 'user' || conversation.kind === 'text')
      await this.#answers.answerAfter(conversation.id, last?.id ?? null);
  }

  /** Doubles the context, up to the length that the model was trained for, and tries again. */
  async raiseContext(): Promise<void> {
    const context = largerContext();
    if (context === undefined) return;
    const pending = overflow.value;
    changeSettings({ context });
    await this.#loader.reload();
    if (pending && loaded.value && conversations.value.some(({ id }) => id === pending.conversationId)) {
      openConversation(pending.conversationId);
      await this.#answers.answerAfter(pending.conversationId, pending.after);
    }
  }

  /**
   * Finds the first position in the conversation that the model should still see.
   * @throws MixtabError `context-overflow` if even the last message is too long
   */
  async #positionToKeep(conversation: Conversation, context: number): Promise<Conversation['seenFrom'] & object> {
    const seenFrom = await (conversation.kind === 'chat'
      ? this.#chatPosition(conversation, context)
      : this.#textPosition(conversation, context));
    if (seenFrom) return seenFrom;
    throw new MixtabError(
      'context-overflow',
      'The last message alone exceeds the context.',
      'Shorten it, or increase the context length in the settings.',
    );
  }

  async #chatPosition(conversation: Conversation, context: number): Promise<Conversation['seenFrom']> {
    const path = pathOf(conversation);
    const [systemTokens, ...tokens] = await Promise.all(
      [conversation.generation.systemPrompt, ...path.map(({ text }) => text)].map(
        async (text) => (await this.#countTokens(text, context)) + TEMPLATE_TOKENS_PER_MESSAGE,
      ),
    );
    const kept = firstKept(path, tokens, systemTokens, context);
    return kept === undefined ? undefined : { turn: path[kept].id, offset: 0 };
  }

  /** Number of tokens of a message; infinite if it is certainly too long for the context. */
  async #countTokens(text: string, context: number): Promise<number> {
    try {
      return (await this.#engine.tokenize(text, context)).length;
    } catch (error) {
      if (error instanceof MixtabError && error.code === 'context-overflow') return Number.POSITIVE_INFINITY;
      throw error;
    }
  }

  async #textPosition(conversation: Conversation, context: number): Promise<Conversation['seenFrom']> {
    const path = pathOf(conversation);
    const text = textOf(path);
    const end = text.slice(-MAX_END_CHARACTERS);
    const tokens = await this.#engine.tokenize(end);
    return positionAt(path, text.length - end.length + cutText(end, tokens.length, context));
  }
}

/** The context that {@link ContextOverflow.raiseContext} would set; undefined if the model supports no larger one. */
export function largerContext(): number | undefined {
  const model = loaded.value;
  if (!model) return undefined;
  const max = model.summary.config.contextLength;
  return model.context < max ? Math.min(max, 2 * model.context) : undefined;
}
