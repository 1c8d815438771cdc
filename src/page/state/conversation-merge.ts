/**
 * Merges what two tabs did to the same conversation. A three-way merge: each tab knows the version that it read or wrote
 * last (`base`), so it can tell its own changes from those of the other tab. Pure.
 */
import { type Conversation, choose, pathOf, type Turn, turnOf } from './conversation-tree.ts';

/** Follows the id of a turn in the id of a version that both tabs wrote at once. A number comes after it. */
const CONFLICT_MARK = '+';

/**
 * Applies the changes from `base` to `ours` to `theirs`. No turn of either side is lost: a turn that both sides changed
 * becomes two versions, unless one text continues the other.
 * @param base the last version that both sides know; undefined if there is none
 * @returns the same object as `ours` if it holds everything already
 */
export function mergeConversations(
  base: Conversation | undefined,
  ours: Conversation,
  theirs: Conversation,
): Conversation {
  const pick = <K extends keyof Conversation>(key: K): Conversation[K] =>
    base && equal(base[key], ours[key]) ? theirs[key] : ours[key];
  const { modelId, modelName, seenFrom, ...required } = {
    ...ours,
    title: ours.title === '' ? theirs.title : pick('title'),
    changedAt: Math.max(ours.changedAt, theirs.changedAt),
    modelId: pick('modelId'),
    modelName: pick('modelName'),
    generation: mergeFields(base?.generation, ours.generation, theirs.generation),
    turns: mergeTurns(base, ours, theirs),
    chosen: mergeFields(base?.chosen, ours.chosen, theirs.chosen),
    seenFrom: pick('seenFrom'),
  };
  const merged: Conversation = {
    ...required,
    ...(modelId !== undefined && { modelId }),
    ...(modelName !== undefined && { modelName }),
    ...(seenFrom && { seenFrom }),
  };
  return equal(merged, ours) ? ours : merged;
}

/** Whether two conversations are stored as the same record. */
export const sameConversation = (a: Conversation, b: Conversation): boolean => a === b || equal(a, b);

/** Chooses the path that `before` shows, so that another tab's turns do not replace the ones on the page. */
export function keepShownPath(before: Conversation, after: Conversation): Conversation {
  const last = pathOf(before).at(-1);
  if (!last || !turnOf(after, last.id) || pathOf(after).some(({ id }) => id === last.id)) return after;
  return choose(after, last.id);
}

/** For each field: ours if we changed it, else theirs. */
function mergeFields<T extends object>(base: Partial<T> = {}, ours: T, theirs: T): T {
  const merged: Record<string, unknown> = {};
  const [before, mine, other] = [base, ours, theirs].map((fields) => new Map(Object.entries(fields)));
  for (const key of new Set([...other.keys(), ...mine.keys()])) {
    const changed = !equal(before.get(key), mine.get(key));
    if (changed ? mine.has(key) : other.has(key)) merged[key] = changed ? mine.get(key) : other.get(key);
  }
  return merged as T;
}

/** A turn that may be left out, if no turn that stays is its descendant. */
interface Candidate {
  turn: Turn;
  removed: boolean;
}

/** The union by id, in the order of {@link inOrder}. */
function mergeTurns(base: Conversation | undefined, ours: Conversation, theirs: Conversation): Turn[] {
  const [own, their] = [attached(ours.turns, theirs), attached(theirs.turns, ours)];
  const [before, mine, other] = [base?.turns ?? [], own, their].map(
    (turns) => new Map(turns.map((turn) => [turn.id, turn])),
  );
  const unchanged = (turn: Turn): boolean => equal(before.get(turn.id), turn);
  const candidates: Candidate[] = [];
  const conflicts: Turn[] = [];
  for (const turn of inOrder(own, their)) {
    const [ownTurn, theirTurn] = [mine.get(turn.id), other.get(turn.id)];
    if (!ownTurn || !theirTurn) candidates.push({ turn, removed: unchanged(turn) });
    else {
      const { kept, conflict } = mergeTurn(before.get(turn.id), ownTurn, theirTurn);
      candidates.push({ turn: kept, removed: false });
      if (conflict) conflicts.push(conflict);
    }
  }
  return withConflicts(remaining(parentsFirst(candidates)), conflicts);
}

/**
 * Puts turns before which a copy lacks others (`missingBefore`) where they belong, if the other side has those, or an
 * earlier state of the conversation.
 */
function attached(turns: readonly Turn[], other: Conversation): readonly Turn[] {
  if (!turns.some(({ missingBefore }) => missingBefore)) return turns;
  const known = new Map(other.turns.map((turn) => [turn.id, turn]));
  // If both have some of the same turns, the end of the other side's path may come after these.
  const end = turns.some(({ id }) => known.has(id)) ? undefined : pathOf(other).at(-1)?.id;
  return turns.map((turn) => {
    const { missingBefore, ...others } = turn;
    if (!missingBefore) return turn;
    const theirs = known.get(turn.id);
    if (theirs && !theirs.missingBefore) return { ...others, parent: theirs.parent };
    if (known.has(missingBefore.parent)) return { ...others, parent: missingBefore.parent };
    return { ...turn, parent: turn.parent ?? theirs?.parent ?? end ?? null };
  });
}

/** Moves turns behind their parents. All others keep their order. */
function parentsFirst(candidates: readonly Candidate[]): Candidate[] {
  const byId = new Map(candidates.map((candidate) => [candidate.turn.id, candidate]));
  const ordered = new Set<Candidate>();
  for (const candidate of candidates) {
    const chain = new Set<Candidate>();
    for (
      let next: Candidate | undefined = candidate;
      next && !ordered.has(next) && !chain.has(next);
      next = next.turn.parent === null ? undefined : byId.get(next.turn.parent)
    )
      chain.add(next);
    for (const each of [...chain].reverse()) ordered.add(each);
  }
  return [...ordered];
}

/**
 * The turns of both sides: theirs and then ours, or all of ours if theirs are only some of them, as those of a
 * shortened copy are. So a parent precedes its children, and both sides come to the same order once one of them has
 * stored it.
 */
function inOrder(ours: readonly Turn[], theirs: readonly Turn[]): readonly Turn[] {
  const [mine, other] = [ours, theirs].map((turns) => new Set(turns.map(({ id }) => id)));
  const areOnlySome = theirs.length < ours.length && theirs.every(({ id }) => mine.has(id));
  return areOnlySome ? ours : [...theirs, ...ours.filter(({ id }) => !other.has(id))];
}

/** Leaves out what was removed. A removed turn stays if the other side has answered it meanwhile. */
function remaining(candidates: readonly Candidate[]): Turn[] {
  const parents = new Set<string | null>();
  return candidates
    .toReversed() // children first
    .filter(({ turn, removed }) => {
      const stays = !removed || parents.has(turn.id);
      if (stays) parents.add(turn.parent);
      return stays;
    })
    .map(({ turn }) => turn)
    .toReversed();
}

/** @returns the turn to keep under its id, and their version of it if neither text continues the other */
function mergeTurn(before: Turn | undefined, mine: Turn, other: Turn): { kept: Turn; conflict?: Turn } {
  if (equal(mine, other) || equal(before, other)) return { kept: mine };
  if (equal(before, mine)) return { kept: other };
  if (mine.text === other.text) return { kept: mine.stats ? mine : other };
  if (mine.text.startsWith(other.text)) return { kept: mine };
  return other.text.startsWith(mine.text) ? { kept: other } : { kept: mine, conflict: other };
}

/**
 * Adds the other versions of turns that both sides wrote. While both still write, a version grows: it replaces its
 * earlier state instead of being added again.
 */
function withConflicts(turns: readonly Turn[], conflicts: readonly Turn[]): Turn[] {
  const result = [...turns];
  for (const conflict of conflicts) {
    for (let n = 1; ; n++) {
      const id = `${conflict.id}${CONFLICT_MARK}${n}`;
      const index = result.findIndex((turn) => turn.id === id);
      if (index < 0) {
        result.push({ ...conflict, id });
        break;
      }
      if (result[index].text.startsWith(conflict.text)) break;
      if (conflict.text.startsWith(result[index].text)) {
        result[index] = { ...conflict, id };
        break;
      }
    }
  }
  return result;
}

/** Compares plain data. A property that is undefined equals one that is absent, as it does in a stored record. */
function equal(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>];
  return [...new Set([...Object.keys(left), ...Object.keys(right)])].every((key) => equal(left[key], right[key]));
}
