/** What the user can do where a conversation is more than the context holds. Nothing is left out unasked. */

import { MixtabError } from '../../contract/errors.ts';
import { cutText, firstKept, positionAt } from '../state/context-window.ts';
import { type Conversation, pathOf, textOf } from '../state/conversation-tree.ts';
import { conversations, current, currentPath, openConversation, updateConversation } from '../state/conversations.ts';
import { changeSettings } from '../state/settings.ts';
import { experiment, generating, loaded, overflow } from '../state/state.ts';
import { answer } from './answers.ts';
import { reloadModel } from './models.ts';
import { report } from './problems.ts';
import { engine } from './workers.ts';

/** Tokens that a template puts around a message, at most about. */
const MESSAGE_OVERHEAD = 8;

/** Takes the oldest part of the conversation out of the model's sight (not off the page), and tries again. */
export async function leaveOutOldest(): Promise<void> {
  const conversation = current.value;
  const context = loaded.value?.context;
  if (!conversation || context === undefined || generating.value || experiment.value) return;
  const after = overflow.value?.after;
  try {
    const seenFrom = await (conversation.kind === 'chat'
      ? chatFrom(conversation, context)
      : textFrom(conversation, context));
    if (!seenFrom) {
      throw new MixtabError(
        'context-overflow',
        'The last message alone is more than the context holds.',
        'Shorten it, or raise the context in the settings.',
      );
    }
    updateConversation(conversation.id, (before) => ({ ...before, seenFrom }));
  } catch (error) {
    report(error);
    return;
  }
  const path = currentPath.value;
  if (after !== undefined || path.at(-1)?.by === 'user' || conversation.kind === 'text')
    await answer(conversation.id, path.at(-1)?.id ?? null);
}

async function chatFrom(conversation: Conversation, context: number): Promise<Conversation['seenFrom']> {
  const path = pathOf(conversation);
  const lengths = await Promise.all(
    path.map(async ({ text }) => (await engine.tokenize(text)).length + MESSAGE_OVERHEAD),
  );
  const fixed = (await engine.tokenize(conversation.generation.systemPrompt)).length + MESSAGE_OVERHEAD;
  const kept = firstKept(path, lengths, fixed, context);
  return kept === undefined ? undefined : { turn: path[kept].id, offset: 0 };
}

async function textFrom(conversation: Conversation, context: number): Promise<Conversation['seenFrom']> {
  const path = pathOf(conversation);
  const text = textOf(path);
  return positionAt(path, cutText(text, (await engine.tokenize(text)).length, context));
}

/** Doubles the context, as far as the model was trained for, and tries again. */
export async function raiseContext(): Promise<void> {
  const next = largerContext();
  if (next === undefined) return;
  const pending = overflow.value;
  changeSettings({ context: next });
  await reloadModel();
  if (pending && loaded.value && conversations.value.some(({ id }) => id === pending.conversationId)) {
    openConversation(pending.conversationId);
    await answer(pending.conversationId, pending.after);
  }
}

/** The context that {@link raiseContext} would set; undefined where the model knows no longer one. */
export function largerContext(): number | undefined {
  const model = loaded.value;
  if (!model) return undefined;
  const most = model.summary.config.contextLength;
  return model.context < most ? Math.min(most, 2 * model.context) : undefined;
}
