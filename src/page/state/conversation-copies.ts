/**
 * Copies of the newest conversations in localStorage. Browsers keep localStorage apart from the database, and some
 * delete the database after a full disk (docs/ui.md). Each copy has a key of its own. Nothing here throws: if
 * localStorage is blocked or full, there are fewer copies, or none.
 */
import { conversationFrom } from './conversation-transfer.ts';
import { type Conversation, removeEmptyAnswers } from './conversation-tree.ts';
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
 * Limit for one copy, in UTF-16 code units. Writing one takes about 4 ms per 100,000 units of Latin-1, and twice as much
 * for other scripts (docs/measurements/page.md). The page cannot do anything else meanwhile.
 */
export const MAX_COPY_UNITS = 200_000;

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
  if (textUnits(conversation) > MAX_COPY_UNITS) {
    removeValue('localStorage', key);
    return;
  }
  const value = `${VERSION} ${conversation.changedAt} ${JSON.stringify(removeEmptyAnswers(conversation))}`;
  if (recall('localStorage', key) === value) return;
  const units = key.length + value.length;
  const others = newestFirst().filter((copy) => copy.key !== key);
  const newer = others.filter(({ changedAt }) => changedAt > conversation.changedAt);
  const older = others.slice(newer.length);
  const fits = units <= MAX_COPY_UNITS && units + sum(newer) <= MAX_UNITS;
  for (let total = units + sum(others); fits; ) {
    if (total <= MAX_UNITS && remember('localStorage', key, value)) return;
    const oldest = older.pop();
    if (!oldest) break;
    removeValue('localStorage', oldest.key);
    total -= oldest.units;
  }
  removeValue('localStorage', key);
}

/** Reads all copies. Damaged ones are ignored. */
export function readCopies(): Conversation[] {
  return copyKeys().flatMap((key) => conversationOf(key) ?? []);
}

/** Removes the copy of a conversation, if there is one. */
export function removeCopy(id: string): void {
  removeValue('localStorage', keyOf(id));
}

/** Removes the copies of all other conversations than these. */
export function removeOtherCopies(ids: readonly string[]): void {
  const kept = new Set(ids.map(keyOf));
  for (const key of copyKeys()) if (!kept.has(key)) removeValue('localStorage', key);
}

const textUnits = ({ turns }: Conversation): number => turns.reduce((total, { text }) => total + text.length, 0);
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
