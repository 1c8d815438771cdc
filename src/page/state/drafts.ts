/**
 * Text that was typed and not sent yet, per conversation. Drafts survive a change of view and a reload (in
 * sessionStorage, at once), the end of the tab or of the browser (in IndexedDB, within half a second), and the loss of
 * the database (as a copy in localStorage, within five seconds).
 *
 * Each tab stores its own drafts, and holds a Web Lock while it lives. Drafts whose lock is free belong to a tab that
 * has ended: the next page that starts takes them over.
 */
import { signal } from '@preact/signals';
import { Database } from './database.ts';
import { newId } from './new-id.ts';
import { keysWithPrefix, recall, remember, removeValue } from './web-storage.ts';

/** The key in sessionStorage. The name of the lock is this and the tab's id. */
const KEY = 'mixtab-drafts';
const STORE_AFTER_MS = 500;
/** Keys of copies in localStorage. The tab's id follows. */
const COPY_PREFIX = 'mixtab-draft-copy/';
/** Longer than for the database: Chromium writes localStorage to the disk at most 60 times per hour. */
const COPY_AFTER_MS = 5000;
/** Limit for the texts in a copy, in UTF-16 code units. Nobody types more, and a pasted text is elsewhere, too. */
const MAX_COPY_UNITS = 100_000;
/** More drafts than anybody comes back to: those of deleted messages would be kept forever. */
const MAX_DRAFTS = 50;

/** The drafts of one tab, as they are stored. */
interface StoredDrafts {
  tabId: string;
  /** Milliseconds since 1970. */
  changedAt: number;
  /** By conversation; oldest change first. */
  drafts: Record<string, string>;
}

/** Increases when drafts of a tab that has ended were added. */
export const restoredDrafts = signal(0);

const database = new Database('mixtab-drafts', 'drafts');
const tabId = newId();
/** What this tab had before it was reloaded. */
const beforeReload = readStored('sessionStorage', KEY);
const drafts = new Map(Object.entries(beforeReload?.drafts ?? {}));
/** The conversations whose drafts have changed since the page started. */
const changedHere = new Set<string>();
let changedAt = beforeReload?.changedAt ?? 0;
let timer: ReturnType<typeof setTimeout> | undefined;
let copyTimer: ReturnType<typeof setTimeout> | undefined;
/** The database has refused the last write, as on a full disk, on which localStorage must not be written either. */
let isRefused = false;

/** @returns the draft of a conversation; empty if there is none */
export const draftOf = (conversationId: string): string => drafts.get(conversationId) ?? '';

/** Stores a conversation's draft; an empty text removes it. */
export function saveDraft(conversationId: string, text: string): void {
  if (text === draftOf(conversationId)) return;
  changedHere.add(conversationId);
  drafts.delete(conversationId);
  if (text !== '') drafts.set(conversationId, text);
  const [oldest] = drafts.keys();
  if (drafts.size > MAX_DRAFTS && oldest !== undefined) drafts.delete(oldest);
  changedAt = Date.now();
  remember('sessionStorage', KEY, JSON.stringify(own()));
  if (timer === undefined) timer = setTimeout(store, STORE_AFTER_MS);
  if (copyTimer === undefined) copyTimer = setTimeout(copy, COPY_AFTER_MS);
}

/** Takes over the drafts of tabs that have ended. Never rejects: at worst, they are not restored. */
export async function loadDrafts(): Promise<void> {
  if (!navigator.locks) return; // http: it cannot be known whether the other tab still lives
  try {
    void navigator.locks.request(lockOf(tabId), () => new Promise(() => {}));
    const { held = [] } = await navigator.locks.query();
    const alive = new Set(held.map(({ name }) => name));
    const hasEnded = (id: string): boolean => id !== tabId && !alive.has(lockOf(id));
    const copies = readCopies(hasEnded);
    const left = await database.write(async (records) => {
      const stored = (await records.getAll()) as StoredDrafts[];
      const ended = stored.filter((other) => hasEnded(other.tabId));
      for (const other of ended) records.delete(other.tabId);
      const news = newest([...ended, ...copies]).filter(isNews);
      if (news.length > 0 || drafts.size > 0) records.put(tabId, merged(news));
      return news;
    });
    takeOver(left);
    if (left.length > 0) copy();
    for (const other of copies) removeValue('localStorage', COPY_PREFIX + other.tabId);
  } catch {
    // Storage is blocked or full. Copies stay for the next page.
  }
}

function takeOver(left: readonly StoredDrafts[]): void {
  if (left.length === 0) return;
  const all = merged(left);
  drafts.clear();
  for (const [key, text] of Object.entries(all.drafts)) drafts.set(key, text);
  changedAt = all.changedAt;
  remember('sessionStorage', KEY, JSON.stringify(own()));
  restoredDrafts.value++;
}

/** For each tab, the newest of what is stored and what was copied. */
function newest(all: readonly StoredDrafts[]): StoredDrafts[] {
  const byTab = new Map<string, StoredDrafts>();
  for (const each of all) {
    const other = byTab.get(each.tabId);
    if (!other || each.changedAt > other.changedAt) byTab.set(each.tabId, each);
  }
  return [...byTab.values()];
}

/** After a reload, sessionStorage is newer. If the browser was killed, what it restores of it may be older. */
const isNews = (ended: StoredDrafts): boolean =>
  ended.tabId !== beforeReload?.tabId || ended.changedAt > beforeReload.changedAt;

const own = (): StoredDrafts => ({ tabId, changedAt, drafts: Object.fromEntries(drafts) });

/** The newest one of each conversation counts, and what was typed since the page started most. */
function merged(others: readonly StoredDrafts[]): StoredDrafts {
  const current = own();
  const all = [...others, ...(beforeReload ? [beforeReload] : [])].sort((a, b) => a.changedAt - b.changedAt);
  const joined = Object.assign({}, ...all.map((each) => each.drafts)) as StoredDrafts['drafts'];
  for (const key of changedHere) {
    delete joined[key];
    if (current.drafts[key] !== undefined) joined[key] = current.drafts[key];
  }
  return { tabId, changedAt: Math.max(changedAt, ...others.map((other) => other.changedAt)), drafts: joined };
}

const lockOf = (id: string): string => `${KEY}/${id}`;

function store(): void {
  timer = undefined;
  // If it fails, sessionStorage has it, and the next change tries again.
  void database
    .write(async (records) => records.put(tabId, own()))
    .then(
      () => {
        isRefused = false;
      },
      () => {
        isRefused = true;
      },
    );
}

/** Copies the newest drafts to localStorage. */
function copy(): void {
  clearTimeout(copyTimer);
  copyTimer = undefined;
  if (isRefused) return;
  let left = MAX_COPY_UNITS;
  const newestFirst = [...drafts].reverse().filter(([key, text]) => {
    left -= key.length + text.length;
    return left >= 0;
  });
  const copied: StoredDrafts = { tabId, changedAt, drafts: Object.fromEntries(newestFirst.reverse()) };
  if (newestFirst.length === 0) removeValue('localStorage', COPY_PREFIX + tabId);
  else remember('localStorage', COPY_PREFIX + tabId, JSON.stringify(copied));
}

/** The copies of tabs that have ended. Damaged ones are ignored. */
function readCopies(hasEnded: (tabId: string) => boolean): StoredDrafts[] {
  const keys = keysWithPrefix('localStorage', COPY_PREFIX).filter((key) => hasEnded(key.slice(COPY_PREFIX.length)));
  return keys.flatMap((key) => {
    const read = readStored('localStorage', key);
    return read && COPY_PREFIX + read.tabId === key ? [read] : [];
  });
}

function readStored(area: 'sessionStorage' | 'localStorage', key: string): StoredDrafts | undefined {
  try {
    const stored = JSON.parse(recall(area, key) ?? '{}') as Partial<StoredDrafts>;
    return stored.drafts && stored.tabId !== undefined ? (stored as StoredDrafts) : undefined;
  } catch {
    return undefined;
  }
}
