/**
 * Copies of the newest conversations in localStorage. Browsers keep localStorage apart from the database, and some
 * delete the database after a full disk (docs/ui.md). Each copy has a key of its own. Nothing here throws: if
 * localStorage is blocked or full, there are fewer copies, or none.
 */
import { conversationFrom } from './conversation-transfer.ts';
import { type Conversation, removeEmptyAnswers } from './conversation-tree.ts';
import { shortened, unitsOf } from './shortened-conversation.ts';
import { keysWithPrefix, recall, remember, removeValue } from './web-storage.ts';

const PREFIX = 'mixtab-copy/';
/** Of the format of a copy. Copies in other formats are ignored. */
const VERSION = 1;
/**
 * Limit for all copies, keys included, in UTF-16 code units. WebKit allows an origin 5 MB and counts two bytes per unit
 * outside of Latin-1, so 4 MB at most are taken. Chromium allows 10 MB.
 */
export const MAX_UNITS = 2_000_000;
/**
 * Limit for one copy, in UTF-16 code units. By the figures in docs/measurements/page.md, writing one this long takes
 * about 4 ms if it is Latin-1, and about 9 ms if it is not. The page cannot do anything else meanwhile.
 */
export const MAX_COPY_UNITS = 100_000;

/**
 * How much space of others a copy may take in vain, as a multiple of its own. A unit outside of Latin-1 takes the space
 * of two.
 */
const MAX_SACRIFICE = 2;

/** What is known of a stored copy without reading its conversation. */
interface CopyInfo {
  key: string;
  /** When a turn was added last, in milliseconds since 1970; -1 if the copy is damaged. */
  changedAt: number;
  /** Length of key and value in UTF-16 code units. */
  units: number;
}

/**
 * Stores a copy in place of an earlier one. Copies of older conversations are removed if it needs their space. If there
 * is no space for it, the earlier one is removed too, because it may contain turns that the user has deleted since.
 */
export function storeCopy(conversation: Conversation): void {
  const key = keyOf(conversation.id);
  const value = copyValue(conversation, MAX_COPY_UNITS - key.length);
  if (value !== undefined && recall('localStorage', key) === value) return;
  if (value === undefined || !write(key, value, conversation.changedAt)) removeValue('localStorage', key);
}

/** @returns false if there is no space beside the copies of newer conversations */
function write(key: string, value: string, changedAt: number): boolean {
  const units = key.length + value.length;
  const others = newestFirst().filter((copy) => copy.key !== key);
  // Those of the same time stay too: else they would replace each other again and again.
  const newer = others.filter((copy) => copy.changedAt >= changedAt);
  const older = others.slice(newer.length);
  if (units + sum(newer) > MAX_UNITS) return false;
  let total = units + sum(others);
  // Beyond the limit there may be no space for other reasons, as on a full disk. Then the others are worth more.
  for (let sacrificed = 0; sacrificed <= MAX_SACRIFICE * units; ) {
    if (total <= MAX_UNITS && remember('localStorage', key, value)) return true;
    const oldest = older.pop();
    if (!oldest) return false;
    removeValue('localStorage', oldest.key);
    if (total <= MAX_UNITS) sacrificed += oldest.units;
    total -= oldest.units;
  }
  return false;
}

/** Reads all copies. Damaged ones are ignored. */
export function readCopies(): Conversation[] {
  return copyKeys().flatMap((key) => conversationOf(key) ?? []);
}

/** Removes the copy of a conversation, if there is one. */
export function removeCopy(id: string): void {
  removeValue('localStorage', keyOf(id));
}

/** The ids of the conversations of which there are copies, damaged ones included. */
export const copiedIds = (): string[] => copyKeys().map((key) => key.slice(PREFIX.length));

const keyOf = (id: string): string => PREFIX + id;
const copyKeys = (): string[] => keysWithPrefix('localStorage', PREFIX);
const sum = (copies: readonly CopyInfo[]): number => copies.reduce((total, { units }) => total + units, 0);

function newestFirst(): CopyInfo[] {
  const copies = copyKeys().map((key) => {
    const value = recall('localStorage', key) ?? '';
    return { key, changedAt: headerOf(value)?.changedAt ?? -1, units: key.length + value.length };
  });
  return copies.sort((a, b) => b.changedAt - a.changedAt);
}

/** @returns the stored form of a conversation, shortened if necessary; undefined if that does not fit either */
function copyValue(conversation: Conversation, limit: number): string | undefined {
  const whole = removeEmptyAnswers(conversation);
  // Escapes make JSON longer than estimated. Texts that consist of them need more attempts.
  for (let attempt = 0, budget = limit; attempt < 3; attempt++) {
    const copy = unitsOf(whole) <= budget ? whole : shortened(whole, budget);
    if (!copy) break;
    const value = `${VERSION} ${conversation.changedAt} ${JSON.stringify(copy)}`;
    if (value.length <= limit) return value;
    budget *= (0.9 * limit) / value.length;
  }
  return undefined;
}

/** A copy is its version, the time of its last turn and the conversation in JSON, with spaces between them. */
function headerOf(value: string): { length: number; changedAt: number } | undefined {
  const match = /^(\d+) (\S+) /.exec(value);
  return match && Number(match[1]) === VERSION && Number.isFinite(Number(match[2]))
    ? { length: match[0].length, changedAt: Number(match[2]) }
    : undefined;
}

function conversationOf(key: string): Conversation | undefined {
  const value = recall('localStorage', key) ?? '';
  const header = headerOf(value);
  if (!header) return undefined;
  try {
    const conversation = conversationFrom(JSON.parse(value.slice(header.length)));
    return conversation && keyOf(conversation.id) === key ? conversation : undefined;
  } catch {
    return undefined;
  }
}
