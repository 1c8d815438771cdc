/** Finding a conversation in the list. Pure. */
import type { Conversation } from '../state/conversation-tree.ts';

export interface Found {
  conversation: Conversation;
  /** Where the words are, if not in the title. */
  snippet?: string;
}

/** Characters of a snippet on each side of what was found. */
const AROUND = 30;

/** Those whose title or any version of any message has all words of the query. */
export function search(conversations: readonly Conversation[], query: string): Found[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return conversations.map((conversation) => ({ conversation }));
  return conversations.flatMap((conversation): Found[] => {
    const title = conversation.title.toLowerCase();
    if (words.every((word) => title.includes(word))) return [{ conversation }];
    const turn = conversation.turns.find(({ text }) => {
      const lower = text.toLowerCase();
      return words.every((word) => lower.includes(word) || title.includes(word));
    });
    return turn ? [{ conversation, snippet: snippetOf(turn.text, words) }] : [];
  });
}

function snippetOf(text: string, words: readonly string[]): string {
  const lower = text.toLowerCase();
  const at = Math.max(0, ...words.map((word) => lower.indexOf(word)));
  const start = Math.max(0, at - AROUND);
  const end = Math.min(text.length, at + 2 * AROUND);
  return `${start > 0 ? '… ' : ''}${text.slice(start, end).replace(/\s+/g, ' ').trim()}${end < text.length ? ' …' : ''}`;
}

export type Age = 'Today' | 'Yesterday' | 'Past week' | 'Older';

/** The calendar age of a moment, in the reader's time zone. */
export function ageOf(at: number, now: number): Age {
  const today = new Date(now);
  const midnight = (daysAgo: number): number =>
    new Date(today.getFullYear(), today.getMonth(), today.getDate() - daysAgo).getTime();
  if (at >= midnight(0)) return 'Today';
  if (at >= midnight(1)) return 'Yesterday';
  return at >= midnight(7) ? 'Past week' : 'Older';
}

/** The list in stretches of the same age; the order stays. */
export function byAge(found: readonly Found[], now: number): { age: Age; found: Found[] }[] {
  const groups: { age: Age; found: Found[] }[] = [];
  for (const item of found) {
    const age = ageOf(item.conversation.changedAt, now);
    const last = groups.at(-1);
    if (last?.age === age) last.found.push(item);
    else groups.push({ age, found: [item] });
  }
  return groups;
}
