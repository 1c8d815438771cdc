/**
 * A conversation as a tree of turns. Editing a message or asking for another answer adds a sibling; nothing is
 * overwritten. What is shown is one path from the root, picked at each fork by `chosen`. Pure: every function
 * returns a new conversation.
 */
import type { GenerateResult } from '../../contract/engine-api.ts';
import type { GenerationSettings } from './generation-settings.ts';

export interface AnswerStats {
  promptTokens: number;
  /** Those of them that had to be read; the others the model still had in mind (sessions.ts). */
  newTokens?: number;
  tokens: number;
  tokensPerSecond: number;
  /** Milliseconds until the prompt was read, which is when the first token came. */
  prefillMs: number;
  hitRate: number;
  finishReason: GenerateResult['finishReason'];
  /** The answer ended because the context was full. */
  contextFull?: boolean;
}

export interface Turn {
  id: string;
  /** The turn before; null for a first one. */
  parent: string | null;
  by: 'user' | 'model';
  text: string;
  /** Milliseconds since 1970. */
  at: number;
  /** Name of the model that wrote it. */
  model?: string;
  stats?: AnswerStats;
}

export interface Conversation {
  id: string;
  title: string;
  /** In a chat turns are messages; in a text they are stretches that make one text. */
  kind: 'chat' | 'text';
  createdAt: number;
  changedAt: number;
  /** Model used last. */
  modelId?: string;
  modelName?: string;
  generation: GenerationSettings;
  /** In order of creation, so a parent comes before its children. */
  turns: Turn[];
  /** For a turn (or '' for the root): which of its children is shown. Where absent, the newest. */
  chosen: Record<string, string>;
  /** What the user took out of the model's sight to make room: all before this turn, and in a text so many characters of it. */
  seenFrom?: { turn: string; offset: number };
}

/** Longest title made from a first message. */
const TITLE_LENGTH = 60;

const ROOT = '';
const keyOf = (parent: string | null): string => parent ?? ROOT;

export function createConversation(
  fields: Pick<Conversation, 'id' | 'kind' | 'generation'>,
  now: number,
): Conversation {
  return { ...fields, title: '', createdAt: now, changedAt: now, turns: [], chosen: {} };
}

/** The children of a turn (null: the first turns), oldest first. */
export function childrenOf({ turns }: Conversation, parent: string | null): Turn[] {
  return turns.filter((turn) => turn.parent === parent);
}

/** The turns that are shown, from the first to the last. */
export function pathOf(conversation: Conversation): Turn[] {
  const byParent = new Map<string, Turn[]>();
  for (const turn of conversation.turns) {
    const list = byParent.get(keyOf(turn.parent));
    if (list) list.push(turn);
    else byParent.set(keyOf(turn.parent), [turn]);
  }
  const path: Turn[] = [];
  for (let key = ROOT; ; ) {
    const children = byParent.get(key);
    if (!children) return path;
    byParent.delete(key); // visited once: a ring of parents in a damaged record must end
    const next = children.find(({ id }) => id === conversation.chosen[key]) ?? children.at(-1)!;
    path.push(next);
    key = next.id;
  }
}

/** A turn among its versions. */
export function versionsOf(conversation: Conversation, id: string): { versions: Turn[]; index: number } {
  const turn = turnOf(conversation, id);
  const versions = turn ? childrenOf(conversation, turn.parent) : [];
  return { versions, index: versions.findIndex((version) => version.id === id) };
}

export function turnOf({ turns }: Conversation, id: string): Turn | undefined {
  return turns.find((turn) => turn.id === id);
}

/** Adds a turn and shows it. Its parent must be there. */
export function addTurn(conversation: Conversation, turn: Turn): Conversation {
  if (turn.parent !== null && !turnOf(conversation, turn.parent)) throw new Error(`No turn ${turn.parent}`);
  const added = choose({ ...conversation, turns: [...conversation.turns, turn], changedAt: turn.at }, turn.id);
  return added.title === '' ? { ...added, title: titleFrom(turn.text) } : added;
}

export function changeTurn(
  conversation: Conversation,
  id: string,
  changes: Partial<Omit<Turn, 'id' | 'parent'>>,
): Conversation {
  return {
    ...conversation,
    turns: conversation.turns.map((turn) => (turn.id === id ? { ...turn, ...changes } : turn)),
  };
}

/** Removes a turn and all that follows it; the next older version is shown. */
export function removeTurn(conversation: Conversation, id: string): Conversation {
  const gone = new Set([id]);
  for (const turn of conversation.turns) if (turn.parent !== null && gone.has(turn.parent)) gone.add(turn.id);
  const chosen = Object.entries(conversation.chosen).filter(([parent, child]) => !gone.has(parent) && !gone.has(child));
  return {
    ...conversation,
    turns: conversation.turns.filter((turn) => !gone.has(turn.id)),
    chosen: Object.fromEntries(chosen),
  };
}

/** Shows the path that leads through this turn. */
export function choose(conversation: Conversation, id: string): Conversation {
  const chosen = { ...conversation.chosen };
  const byId = new Map(conversation.turns.map((turn) => [turn.id, turn]));
  const seen = new Set<string>();
  for (
    let turn = byId.get(id);
    turn && !seen.has(turn.id);
    turn = turn.parent === null ? undefined : byId.get(turn.parent)
  ) {
    seen.add(turn.id);
    chosen[keyOf(turn.parent)] = turn.id;
  }
  return { ...conversation, chosen };
}

/** The first words of a text, in one line. */
export function titleFrom(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  if (line.length <= TITLE_LENGTH) return line;
  const cut = line.slice(0, TITLE_LENGTH);
  const space = cut.lastIndexOf(' ');
  return `${(space > TITLE_LENGTH / 2 ? cut.slice(0, space) : cut).trimEnd()} …`;
}

/** The whole text that user and model have written together. */
export const textOf = (turns: readonly Turn[]): string => turns.map(({ text }) => text).join('');
