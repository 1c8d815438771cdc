/** The part of a conversation that the model sees, and how to shorten it if it exceeds the context. Pure. */
import type { ChatMessage } from '../../contract/engine-api.ts';
import { type Conversation, pathOf, type Turn, textOf } from './conversation-tree.ts';

/** Share of the context that a shortened prompt may take. The rest is for the answer and the messages that follow. */
const PROMPT_SHARE = 0.5;

/** The turns of the path that the model still sees. */
export function seenTurns({ seenFrom }: Conversation, path: readonly Turn[]): readonly Turn[] {
  const from = seenFrom ? path.findIndex(({ id }) => id === seenFrom.turn) : 0;
  return path.slice(Math.max(0, from));
}

/** The chat as messages, up to and including turn `until`; the whole path if that turn is not on it. */
export function messagesFor(conversation: Conversation, until: string): ChatMessage[] {
  const path = upTo(pathOf(conversation), until);
  const messages: ChatMessage[] = [];
  for (const { by, text } of seenTurns(conversation, path)) {
    const role = by === 'user' ? 'user' : 'assistant';
    const last = messages.at(-1);
    // Two user messages follow each other if an answer was stopped before its first token. Most templates refuse that.
    if (last?.role === role) messages[messages.length - 1] = { role, content: `${last.content}\n\n${text}` };
    else messages.push({ role, content: text });
  }
  const { systemPrompt } = conversation.generation;
  return systemPrompt.trim() === '' ? messages : [{ role: 'system', content: systemPrompt }, ...messages];
}

/** The text up to and including turn `until`, without the part that the user has left out. */
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
 * Finds the first message to keep so that a chat's prompt takes at most half of the context. It is a message of the
 * user. A last message that takes more than half, but fits into the context, is kept alone.
 * @param tokens estimated number of tokens per turn of the path
 * @param fixed tokens of the system prompt
 * @param context tokens that the context holds
 * @returns index into the path; undefined if even the last message is too long
 */
export function firstKept(
  path: readonly Turn[],
  tokens: readonly number[],
  fixed: number,
  context: number,
): number | undefined {
  const available = context * PROMPT_SHARE - fixed;
  let sum = 0;
  let kept: number | undefined;
  for (let i = path.length - 1; i >= 0; i--) {
    sum += tokens[i];
    if (path[i].by === 'user' && (sum <= available || (kept === undefined && sum + fixed < context))) kept = i;
    if (sum > available) break;
  }
  return kept;
}

/**
 * Finds where to cut a text so that the rest takes at most about half of the context: at a paragraph, a sentence or a
 * word.
 * @param tokens number of tokens of the whole text
 * @param context tokens that the context holds
 * @returns number of characters to leave out
 */
export function cutText(text: string, tokens: number, context: number): number {
  const share = (context * PROMPT_SHARE) / Math.max(1, tokens);
  if (share >= 1) return 0;
  const earliest = Math.min(text.length - 1, Math.ceil(text.length * (1 - share)));
  const window = text.slice(earliest, earliest + Math.floor((text.length - earliest) / 2));
  for (const boundary of [/\n\s*\n\s*/, /[.!?]["'”’)]*\s+/, /\s+/]) {
    const match = boundary.exec(window);
    if (match) return earliest + match.index + match[0].length;
  }
  return earliest;
}

/** Finds the turn at position `characters` of the path's text, and the offset in it; undefined at the end. */
export function positionAt(path: readonly Turn[], characters: number): { turn: string; offset: number } | undefined {
  let left = characters;
  for (const { id, text } of path) {
    if (left < text.length) return { turn: id, offset: left };
    left -= text.length;
  }
  return undefined;
}
