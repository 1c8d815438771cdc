/** Searches the conversations and groups them for the list. Pure functions. */
import type { Conversation } from '../state/conversation-tree.ts';

/** A conversation that matches the search. */
export interface SearchResult {
  conversation: Conversation;
  /** The text around the first match. Absent if the title matches. */
  snippet?: string;
}

/** Characters of a snippet before the match; after it, twice as many. */
const SNIPPET_RADIUS = 30;

/** @returns conversations that have every word of the query in their title, or in one version of one message */
export function search(conversations: readonly Conversation[], query: string): SearchResult[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return conversations.map((conversation) => ({ conversation }));
  return conversations.flatMap((conversation): SearchResult[] => {
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
  const match = Math.max(0, ...words.map((word) => lower.indexOf(word)));
  const start = Math.max(0, match - SNIPPET_RADIUS);
  const end = Math.min(text.length, match + 2 * SNIPPET_RADIUS);
  const snippet = text.slice(start, end).replace(/\s+/g, ' ').trim();
  return `${start > 0 ? '… ' : ''}${snippet}${end < text.length ? ' …' : ''}`;
}

export type Age = 'Today' | 'Yesterday' | 'Past week' | 'Older';

/**
 * The calendar age of a point in time, in the time zone of the browser.
 * @param time milliseconds since 1970
 * @param now milliseconds since 1970
 */
export function ageOf(time: number, now: number): Age {
  const today = new Date(now);
  const midnight = (daysAgo: number): number =>
    new Date(today.getFullYear(), today.getMonth(), today.getDate() - daysAgo).getTime();
  if (time >= midnight(0)) return 'Today';
  if (time >= midnight(1)) return 'Yesterday';
  return time >= midnight(7) ? 'Past week' : 'Older';
}

/** Splits the list into runs of the same age and keeps its order. */
export function groupByAge(results: readonly SearchResult[], now: number): { age: Age; results: SearchResult[] }[] {
  const groups: { age: Age; results: SearchResult[] }[] = [];
  for (const result of results) {
    const age = ageOf(result.conversation.changedAt, now);
    const last = groups.at(-1);
    if (last?.age === age) last.results.push(result);
    else groups.push({ age, results: [result] });
  }
  return groups;
}
