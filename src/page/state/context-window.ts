/** What the model is shown of a conversation, and how to make room where that is more than its context holds. Pure. */
import type { ChatMessage } from '../../contract/engine-api.ts';
import { type Conversation, pathOf, type Turn, textOf } from './conversation-tree.ts';

/** Share of the context that the prompt may take after room was made; the rest is for the answer and what follows. */
const ANSWER_SHARE = 0.5;

/** The shown turns that the model still sees. */
export function seenTurns({ seenFrom }: Conversation, path: readonly Turn[]): readonly Turn[] {
  const from = seenFrom ? path.findIndex(({ id }) => id === seenFrom.turn) : 0;
  return path.slice(Math.max(0, from));
}

/** The chat up to `until` (a turn of the path, included). */
export function messagesFor(conversation: Conversation, until: string): ChatMessage[] {
  const path = upTo(pathOf(conversation), until);
  const messages: ChatMessage[] = [];
  for (const { by, text } of seenTurns(conversation, path)) {
    const role = by === 'user' ? 'user' : 'assistant';
    const last = messages.at(-1);
    // A message whose answer was stopped before its first word: most chat templates refuse two of one side in a row.
    if (last?.role === role) messages[messages.length - 1] = { role, content: `${last.content}\n\n${text}` };
    else messages.push({ role, content: text });
  }
  const { systemPrompt } = conversation.generation;
  return systemPrompt.trim() === '' ? messages : [{ role: 'system', content: systemPrompt }, ...messages];
}

/** The text up to `until`, without what the user took out of the model's sight. */
export function textFor(conversation: Conversation, until: string): string {
  const path = upTo(pathOf(conversation), until);
  const seen = seenTurns(conversation, path);
  const cut = seen[0]?.id === conversation.seenFrom?.turn ? conversation.seenFrom?.offset : 0;
  return textOf(seen).slice(cut);
}

function upTo(path: readonly Turn[], until: string): readonly Turn[] {
  const index = path.findIndex(({ id }) => id === until);
  return index < 0 ? path : path.slice(0, index + 1);
}

/**
 * Where a chat has to begin so that its prompt takes at most half of the context: at a message of the user.
 * @param tokens of each turn of the path, about
 * @param fixed tokens of the system prompt
 * @returns index into the path; undefined where even the last message is too long
 */
export function firstKept(
  path: readonly Turn[],
  tokens: readonly number[],
  fixed: number,
  context: number,
): number | undefined {
  const room = context * ANSWER_SHARE - fixed;
  let sum = 0;
  let kept: number | undefined;
  for (let i = path.length - 1; i >= 0; i--) {
    sum += tokens[i];
    if (path[i].by === 'user' && (sum <= room || (kept === undefined && sum + fixed < context))) kept = i;
    if (sum > room) break;
  }
  return kept;
}

/**
 * Where a text has to begin so that it takes about half of the context: at a paragraph, a sentence or a word.
 * @param tokens of the whole text
 * @returns characters left out
 */
export function cutText(text: string, tokens: number, context: number): number {
  const share = (context * ANSWER_SHARE) / Math.max(1, tokens);
  if (share >= 1) return 0;
  const earliest = Math.min(text.length - 1, Math.ceil(text.length * (1 - share)));
  const window = text.slice(earliest, earliest + Math.floor((text.length - earliest) / 2));
  for (const boundary of [/\n\s*\n\s*/, /[.!?]["'”’)]*\s+/, /\s+/]) {
    const match = boundary.exec(window);
    if (match) return earliest + match.index + match[0].length;
  }
  return earliest;
}

/** The turn and the place in it where `characters` of a text have passed. */
export function positionAt(path: readonly Turn[], characters: number): { turn: string; offset: number } | undefined {
  let left = characters;
  for (const { id, text } of path) {
    if (left < text.length) return { turn: id, offset: left };
    left -= text.length;
  }
  return undefined;
}
