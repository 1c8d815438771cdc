/**
 * Reads a text and follows one of its tokens: the one that the address names, or the one that was clicked in an answer.
 * Part of the experts view's code, which is loaded when the view is first opened.
 */
import type { GenerateRequest } from '../../contract/engine-api.ts';
import { current } from '../state/conversations.ts';
import { announcement } from '../state/notices.ts';
import { reading } from '../state/text-routing.ts';
import { followedToken, wanted } from '../state/token-observation.ts';
import { tokenOfCharacter } from '../state/token-of-character.ts';
import { inputOf, read } from './text-routing.ts';
import { canFollow, followToken } from './token-observation.ts';

/** Reads a text, then follows the token that is wanted, if any. */
export async function readAndFollow(input: GenerateRequest['input']): Promise<void> {
  const before = reading.value;
  await read(input);
  if (reading.value !== before) await followWanted();
}

/** Follows the token that was clicked in an answer, and reads the conversation first unless it was read already. */
export async function followLink(): Promise<void> {
  const input = wanted.value && inputOf(current.value);
  if (!input) return;
  if (canFollow() && JSON.stringify(reading.value?.input) === JSON.stringify(input)) await followWanted();
  else await readAndFollow(input);
}

async function followWanted(): Promise<void> {
  const click = wanted.value;
  wanted.value = undefined;
  const token = click ? tokenOfCharacter(reading.value!.trace.pieces, click) : followedToken.value;
  if (token !== undefined) await followToken(token);
  else if (click) announcement.value = 'The token was not found. Click it in the text.';
}
