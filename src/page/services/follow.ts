/**
 * Reads a text and follows one of its tokens: the one that the address names, or the one that was clicked in an answer.
 * Part of the experts view's code, which is loaded when the view is first opened.
 */
import type { GenerateRequest } from '../../contract/engine-api.ts';
import { conversations, current, openConversation } from '../state/conversations.ts';
import { experiment } from '../state/generation.ts';
import { announcement } from '../state/notices.ts';
import { choose } from '../state/route.ts';
import { reading } from '../state/text-routing.ts';
import { followedToken, wanted } from '../state/token-observation.ts';
import { tokenOfCharacter } from '../state/token-of-character.ts';
import { inputOf, read } from './text-routing.ts';
import { canFollow, followToken } from './token-observation.ts';

/**
 * Reads a text, then follows the token that is wanted, if any. If nothing was read, none is wanted any more: otherwise
 * the next visit of the view would read the text unasked.
 * @param conversation id of the conversation that the input is
 */
export async function readAndFollow(input: GenerateRequest['input'], conversation?: string): Promise<void> {
  const before = reading.value;
  const isReading = experiment.value?.kind === 'routing'; // when that ends, it looks for the wanted token itself
  await read(input, conversation);
  if (reading.value !== before) await followWanted();
  else if (!isReading) wanted.value = undefined;
}

/**
 * Follows the token that was clicked in an answer, and reads the conversation first unless it was read already. Only
 * forgets the click if another conversation is shown by now.
 */
export async function followLink(): Promise<void> {
  const isHere = wanted.value && wanted.value.conversation === current.value?.id;
  const input = isHere && inputOf(current.value);
  if (!input) {
    wanted.value = undefined;
    return;
  }
  if (canFollow() && JSON.stringify(reading.value?.input) === JSON.stringify(input)) await followWanted();
  else await readAndFollow(input, current.value!.id);
}

/** Whether this browser stores a conversation. All are read before a model is loaded, and so before the experts view. */
export const isStored = (id: string): boolean => conversations.value.some((conversation) => conversation.id === id);

/** Opens the conversation that a link names, if this browser stores it. What was read of others is no longer shown. */
export function openLinked(id: string): void {
  if (!isStored(id)) return;
  if (reading.value?.conversation !== id) reading.value = undefined;
  openConversation(id);
  choose({ conversation: '' });
}

async function followWanted(): Promise<void> {
  const click = wanted.value;
  wanted.value = undefined;
  const token = click ? tokenOfCharacter(reading.value!.trace.pieces, click) : followedToken.value;
  if (token !== undefined) await followToken(token);
  else if (click) announcement.value = 'The token was not found. Click it in the text.';
}
