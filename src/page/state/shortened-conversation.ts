/** Shortens a conversation so that its copy fits in ({@link storeCopy}). Pure. */
import { type Conversation, pathOf, type Turn } from './conversation-tree.ts';

/** What a turn takes in JSON beside its text and its figures: its ids, its time, and which version is chosen. */
const TURN_UNITS = 260;
/** What the figures of an answer take in JSON. */
const STATS_UNITS = 220;
/** How much of a text is kept of every turn that is kept. */
const BEGINNING_UNITS = 200;

/** Estimates the length of a conversation in JSON, in UTF-16 code units, without escapes. */
export const unitsOf = ({ title, generation, turns }: Conversation): number =>
  1000 + title.length + generation.systemPrompt.length + turns.reduce((total, turn) => total + turnUnits(turn), 0);

const turnUnits = ({ text, stats }: Turn): number => TURN_UNITS + (stats ? STATS_UNITS : 0) + text.length;

/**
 * Keeps only the path that is shown, and of its texts as many as fit in, beginning with the newest; of earlier ones
 * only the beginning. If there are too many turns for that, the newest ones are kept, and the first of them is marked
 * (`missingBefore`). No other turn changes its parent, none its id, and a text that is cut is the beginning of the whole
 * one and marked (`isCut`). So a merge with the whole conversation has all of it (`conversation-merge.ts`). The model sees
 * only what is whole.
 * @param limit of {@link unitsOf}
 * @returns undefined if not even the beginning of one turn fits in
 */
export function shortened(conversation: Conversation, limit: number): Conversation | undefined {
  const shown = pathOf(conversation);
  const path = newestOf(shown, limit - unitsOf({ ...conversation, turns: [] }));
  if (path.length === 0 && shown.length > 0) return undefined;
  const beginnings = path.map((turn) => cut(turn, BEGINNING_UNITS));
  const chosen = Object.fromEntries(path.map(({ id, parent }) => [parent ?? '', id]));
  let left = limit - unitsOf({ ...conversation, turns: beginnings });
  if (left < 0) return undefined;
  const turns = path
    .toReversed()
    .map((turn) => {
      const beginning = cut(turn, BEGINNING_UNITS);
      const longer = cut(turn, BEGINNING_UNITS + Math.max(0, left - (turn.stats ? STATS_UNITS : 0)));
      left = Math.max(0, left - turnUnits(longer) + turnUnits(beginning));
      return longer;
    })
    .toReversed();
  const { seenFrom: before, ...others } = conversation;
  const seenFrom = firstSeen(conversation, path, turns) ?? before;
  return { ...others, turns, chosen, ...(seenFrom && { seenFrom }) };
}

/**
 * The newest turns of a path, as many as their beginnings fit in. If not all do, they get only half of the space, so that
 * more of the newest texts is whole.
 */
function newestOf(path: readonly Turn[], space: number): readonly Turn[] {
  const beginnings = path.map((turn) => turnUnits(cut(turn, BEGINNING_UNITS)));
  if (beginnings.reduce((total, units) => total + units, 0) <= space) return path;
  let left = (space - TURN_UNITS) / 2; // the mark takes less than a turn
  let first = path.length;
  while (first > 0 && beginnings[first - 1] <= left) left -= beginnings[--first];
  if (first === path.length) return [];
  const { parent, ...oldest } = path[first];
  const before = oldest.missingBefore?.parent ?? parent!; // not all fit in, so it is not the first of the path
  const earlier = path.slice(0, first + 1).reduce((count, { missingBefore }) => count + (missingBefore?.count ?? 0), 0);
  return [
    { ...oldest, parent: null, missingBefore: { parent: before, count: first + earlier } },
    ...path.slice(first + 1),
  ];
}

/** The figures describe the whole text, so those of a text that is cut are left out. */
function cut(turn: Turn, units: number): Turn {
  if (turn.text.length <= units) return turn;
  const { stats: _, ...others } = turn;
  return { ...others, text: turn.text.slice(0, units).replace(/[\uD800-\uDBFF]$/, ''), isCut: true };
}

/** @returns where the whole texts begin; undefined if the model sees no more than them already, or there are none */
function firstSeen(
  { kind, seenFrom }: Conversation,
  path: readonly Turn[],
  kept: readonly Turn[],
): Conversation['seenFrom'] {
  const lastCut = kept.findLastIndex((turn, i) => turn !== path[i]);
  if (path.findIndex(({ id }) => id === seenFrom?.turn) > lastCut) return undefined;
  // A chat begins with a message of the user.
  const first = kept.slice(lastCut + 1).find(({ by }) => kind === 'text' || by === 'user');
  return first && { turn: first.id, offset: 0 };
}
