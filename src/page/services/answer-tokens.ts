/** The tokens of an answer, and the way from one of them to the experts view, which follows it. */
import { seenTurns } from '../state/context-window.ts';
import { type Conversation, pathOf } from '../state/conversation-tree.ts';
import { currentId } from '../state/conversations.ts';
import { showTab } from '../state/route.ts';
import { wanted } from '../state/token-observation.ts';
import type { TextPlace } from '../state/token-of-character.ts';
import { report } from './problems.ts';
import { engine } from './workers.ts';

/** @returns the text of each token; none if the model is gone, which is reported */
export const piecesOf = (text: string): Promise<string[]> =>
  engine.pieces(text).catch((error: unknown) => {
    report(error);
    return [];
  });

/** Opens the experts view, which reads the conversation and follows the token of this character. */
export function followPlace(character: TextPlace): void {
  wanted.value = { ...character, conversation: currentId.value };
  showTab('routing', {});
}

/**
 * @param turn id of a turn
 * @returns its text and the texts after it; undefined if the model does not see the turn any more
 */
export function textsFrom(conversation: Conversation, turn: string): string[] | undefined {
  const seen = seenTurns(conversation, pathOf(conversation));
  const first = seen.findIndex(({ id }) => id === turn);
  return first < 0 ? undefined : seen.slice(first).map(({ text }) => text);
}
