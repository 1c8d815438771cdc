/**
 * A conversation as a tree of turns. Editing a message or regenerating an answer adds a sibling; nothing is
 * overwritten. The page shows one path from the root to a leaf; `chosen` picks the child at each fork. Pure: every
 * function returns a new conversation.
 */
import type { GenerateResult } from '../../contract/engine-api.ts';
import type { GenerationSettings } from './generation-settings.ts';

/** The figures under an answer. */
export interface AnswerStats {
  promptTokens: number;
  /** Prompt tokens that were computed. The keys and values of the others were in the KV cache. */
  newTokens?: number;
  /** Tokens written. */
  tokens: number;
  tokensPerSecond: number;
  /** Milliseconds of prefill, that is until the first token. */
  prefillMs: number;
  /** Expert cache: hits / (hits + misses). */
  hitRate: number;
  finishReason: GenerateResult['finishReason'];
  /** The answer ended because the context was full. */
  contextFull?: boolean;
}

/** One message of a chat, or one piece of a text. */
export interface Turn {
  id: string;
  /** Id of the turn before; null for a first turn. */
  parent: string | null;
  by: 'user' | 'model';
  text: string;
  /** Milliseconds since 1970. */
  at: number;
  /** Name of the model that wrote it. */
  model?: string;
  stats?: AnswerStats;
  missingBefore?: MissingTurns;
  /** Only the beginning of the text was in the copy that the conversation was restored from. */
  isCut?: boolean;
}

/** The turns before this one were left out of a copy that the conversation was restored from. */
export interface MissingTurns {
  /** The id of the turn before, which is missing too. */
  parent: string;
  /** How many are missing. */
  count: number;
}

/** A conversation with all versions of all turns. */
export interface Conversation {
  id: string;
  title: string;
  /** The turns of a chat are messages. The turns of a text are pieces of one continuous text. */
  kind: 'chat' | 'text';
  createdAt: number;
  changedAt: number;
  /** The model used last. */
  modelId?: string;
  modelName?: string;
  generation: GenerationSettings;
  /** In order of creation, so a parent precedes its children. */
  turns: Turn[];
  /** For the id of a turn ('' for the root): the id of the child that is shown. The newest child if absent. */
  chosen: Record<string, string>;
  /**
   * The model sees the conversation from this turn on; in a text, from this offset in it. The user has left out the
   * rest.
   */
  seenFrom?: { turn: string; offset: number };
}

/** Maximum length of a title that is made from the first message, in UTF-16 code units. */
const TITLE_LENGTH = 60;

const ROOT = '';
const keyOf = (parent: string | null): string => parent ?? ROOT;

/** Creates a conversation without turns or title. */
export function createConversation(
  fields: Pick<Conversation, 'id' | 'kind' | 'generation'>,
  now: number,
): Conversation {
  return { ...fields, title: '', createdAt: now, changedAt: now, turns: [], chosen: {} };
}

/** The children of a turn, oldest first. With null: the first turns. */
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
    byParent.delete(key); // ends the loop if the parents in a damaged record form a ring
    const next = children.find(({ id }) => id === conversation.chosen[key]) ?? children.at(-1)!;
    path.push(next);
    key = next.id;
  }
}

/** The siblings of a turn, itself included, and its index among them. */
export function versionsOf(conversation: Conversation, id: string): { versions: Turn[]; index: number } {
  const turn = turnOf(conversation, id);
  const versions = turn ? childrenOf(conversation, turn.parent) : [];
  return { versions, index: versions.findIndex((version) => version.id === id) };
}

/** Finds a turn by its id. */
export function turnOf({ turns }: Conversation, id: string): Turn | undefined {
  return turns.find((turn) => turn.id === id);
}

/** Adds a turn and shows it. Its parent must exist. */
export function addTurn(conversation: Conversation, turn: Turn): Conversation {
  if (turn.parent !== null && !turnOf(conversation, turn.parent)) throw new Error(`No turn ${turn.parent}`);
  const added = choose({ ...conversation, turns: [...conversation.turns, turn], changedAt: turn.at }, turn.id);
  return added.title === '' ? { ...added, title: titleFrom(turn.text) } : added;
}

/** Changes fields of one turn. If its text was cut and is continued, its rest is no longer missing. */
export function changeTurn(
  conversation: Conversation,
  id: string,
  changes: Partial<Omit<Turn, 'id' | 'parent'>>,
): Conversation {
  return {
    ...conversation,
    turns: conversation.turns.map((turn) => {
      if (turn.id !== id) return turn;
      const { isCut, ...others } = turn;
      const isStillCut = isCut && (changes.text ?? turn.text) === turn.text;
      return { ...others, ...(isStillCut && { isCut }), ...changes };
    }),
  };
}

/** Removes a turn and all its descendants. The newest remaining sibling is shown. */
export function removeTurn(conversation: Conversation, id: string): Conversation {
  const removed = new Set([id]);
  for (const turn of conversation.turns) if (turn.parent !== null && removed.has(turn.parent)) removed.add(turn.id);
  const chosen = Object.entries(conversation.chosen).filter(
    ([parent, child]) => !removed.has(parent) && !removed.has(child),
  );
  return {
    ...conversation,
    turns: conversation.turns.filter((turn) => !removed.has(turn.id)),
    chosen: Object.fromEntries(chosen),
  };
}

/** Removes empty answers, which remain if a tab is closed before the first token. One that was answered stays. */
export function removeEmptyAnswers(conversation: Conversation): Conversation {
  const parents = new Set(conversation.turns.map(({ parent }) => parent));
  return conversation.turns
    .filter(({ id, by, text }) => by === 'model' && text === '' && !parents.has(id))
    .reduce((remaining, { id }) => removeTurn(remaining, id), conversation);
}

/** Shows the path that contains this turn. */
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

/** The first words of a text, on one line. */
export function titleFrom(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  if (line.length <= TITLE_LENGTH) return line;
  const cut = line.slice(0, TITLE_LENGTH);
  const space = cut.lastIndexOf(' ');
  return `${(space > TITLE_LENGTH / 2 ? cut.slice(0, space) : cut).trimEnd()} …`;
}

/** Whether the user has written more than once, so that losing the conversation would hurt. A first message may be a try. */
export const isWorthKeeping = ({ turns }: Conversation): boolean => turns.filter(({ by }) => by === 'user').length > 1;

/** The text of all turns, joined. */
export const textOf = (turns: readonly Turn[]): string => turns.map(({ text }) => text).join('');
