/**
 * Stores conversations in IndexedDB, one record each. Several tabs may write the same conversation: every write merges
 * with what is stored, in one transaction.
 *
 * One more record, the marker, says which database this is and how often it was written. A browser whose disk is full
 * may delete the database under a running page, or restore an older state of it. The next transaction then finds
 * another marker, and stores everything again that is in memory.
 */
import { mergeConversations, sameConversation } from './conversation-merge.ts';
import { conversationFrom } from './conversation-transfer.ts';
import { type Conversation, removeEmptyAnswers } from './conversation-tree.ts';
import { Database, type Records } from './database.ts';
import { newId } from './new-id.ts';

const MARKER_KEY = 'mixtab-marker';

/** Identifies a database and its state. */
interface Marker {
  /** Random, and new if the database is new or has lost writes. */
  databaseId: string;
  /** Counts the writes. */
  revision: number;
}

/** The conversations that this tab has in memory. */
export interface ConversationMemory {
  get(id: string): Conversation | undefined;
  ids(): string[];
}

/** What a transaction did with one conversation. */
export interface StoredChange {
  id: string;
  /** What this tab had in memory when the transaction ran. Empty answers are never stored, so it has none. */
  before: Conversation | undefined;
  /** What is stored now. undefined: this tab or another one deleted it. */
  after: Conversation | undefined;
}

/** The result of a write. */
export interface SaveResult {
  changes: StoredChange[];
  /** How many conversations were missing, because the database has lost what was stored, and are stored again. */
  restored: number;
}

/** What {@link ConversationStore.readAll} has read. */
interface StoredState {
  marker: Marker | undefined;
  conversations: Conversation[];
}

/** The stored conversations as one tab knows them. */
export class ConversationStore {
  readonly #memory: ConversationMemory;
  readonly #database = new Database('mixtab-chats', 'conversations');
  /** Carries the ids of changed records to other tabs. */
  readonly #channel = new BroadcastChannel('mixtab-chats');
  /** What this tab has read or written last of each conversation. */
  readonly #bases = new Map<string, Conversation>();
  /** The copies of {@link assume}, until the database was read. They are bases too, unless this tab has written since. */
  readonly #assumed = new Map<string, Conversation>();
  /** The marker that this tab has read or written last. */
  #known: Marker | undefined;
  /** Ids that other tabs have announced since {@link readAll} began, until {@link onOtherTab} is called. */
  readonly #announced: string[] = [];
  /** The marker of the database that had lost the conversations of {@link restore}, until they are stored. */
  #restoring: { from: Marker | undefined } | undefined;

  constructor(memory: ConversationMemory) {
    this.#memory = memory;
  }

  /**
   * Reads all conversations, to be passed to {@link adopt} at once. A damaged record is skipped, but stays in the store.
   */
  async readAll(): Promise<StoredState> {
    this.#channel.onmessage = ({ data: ids }: MessageEvent<string[]>) => void this.#announced.push(...ids);
    const [marker, records] = await this.#database.read(async (stored) => [
      markerFrom(await stored.get(MARKER_KEY)),
      await stored.getAll(),
    ]);
    return { marker, conversations: records.flatMap((record) => conversationFrom(record) ?? []) };
  }

  /**
   * From now on this tab knows what was read.
   * @returns what is stored of each conversation, and `before` what was assumed ({@link assume}); nothing of those that
   *   this tab has written meanwhile
   */
  adopt({ marker, conversations }: StoredState): StoredChange[] {
    this.#known = marker;
    this.#restoring = undefined;
    const stored = new Map(conversations.map((conversation) => [conversation.id, conversation]));
    const changes = [...new Set([...stored.keys(), ...this.#assumed.keys()])]
      .map((id) => ({ id, before: this.#assumed.get(id), after: stored.get(id) }))
      .filter(({ id, before }) => this.#bases.get(id) === before);
    for (const { id, after } of changes) this.#setBase(id, after);
    this.#assumed.clear();
    return changes;
  }

  /**
   * Takes copies for what is stored, because the database cannot be read. If it can be later, its own state counts,
   * unless it has lost something.
   * @param noted the value of {@link state} when the copies were made; undefined if it is not known
   */
  assume(copies: readonly Conversation[], noted: string | undefined): void {
    this.#known = markerOf(noted);
    if (!this.#known) this.#restoring = { from: undefined };
    for (const copy of copies) {
      this.#assumed.set(copy.id, copy);
      this.#bases.set(copy.id, copy);
    }
  }

  /**
   * Makes the store hold what this tab has in memory, merged with what other tabs have stored. Conversations that are
   * no longer in memory are deleted. Stores all conversations of this tab if the database has lost them.
   * @param ids conversations that this tab has changed
   * @throws DOMException if the transaction failed; then nothing of it is stored
   */
  async save(ids: readonly string[]): Promise<SaveResult> {
    const { marker, lost, changes, written } = await this.#database.write((records) => this.#save(records, ids));
    const restored = lost && !this.#restoring ? changes.filter(({ id, after }) => after && written.includes(id)) : [];
    this.#known = marker;
    this.#restoring = undefined;
    for (const { id, after } of changes) this.#setBase(id, after);
    if (written.length > 0) this.#channel.postMessage(written);
    return { changes, restored: restored.length };
  }

  /**
   * Takes over conversations that the database has lost, as it was found by {@link adopt}. The next save stores them,
   * unless another tab has written meanwhile: then it has stored them too, or the user has deleted them there.
   */
  restore(conversations: readonly Conversation[]): void {
    this.#restoring = { from: this.#known };
    for (const conversation of conversations) this.#bases.set(conversation.id, conversation);
  }

  async #save(records: Records, ids: readonly string[]) {
    const found = markerFrom(await records.get(MARKER_KEY));
    const lost = this.#hasLost(found);
    const changes: StoredChange[] = [];
    const written: string[] = [];
    for (const id of lost ? new Set([...ids, ...this.#memory.ids()]) : ids) {
      const theirs = conversationFrom(await records.get(id));
      const inMemory = this.#memory.get(id);
      const before = inMemory && removeEmptyAnswers(inMemory);
      const after = before && this.#merged(before, theirs, lost);
      changes.push({ id, before, after });
      if (after ? theirs && sameConversation(after, theirs) : !theirs) continue;
      written.push(id);
      if (after) records.put(id, after);
      else records.delete(id);
    }
    const marker = written.length > 0 || !found ? this.#nextMarker(found, lost) : found;
    if (marker !== found) records.put(MARKER_KEY, marker);
    return { marker, lost, changes, written };
  }

  /** @returns undefined if another tab has deleted it and this tab has changed nothing since */
  #merged(ours: Conversation, theirs: Conversation | undefined, lost: boolean): Conversation | undefined {
    // A database that has lost writes has older states than the last one that this tab knows.
    const base = lost ? undefined : this.#bases.get(ours.id);
    if (theirs) return mergeConversations(base, ours, theirs);
    return base && sameConversation(base, ours) ? undefined : ours;
  }

  /** Whether the database is not the one that this tab knows, or an earlier state of it. */
  #hasLost(found: Marker | undefined): boolean {
    if (this.#restoring) return !found || sameMarker(found, this.#restoring.from);
    return this.#known !== undefined && isBehind(found, this.#known);
  }

  #nextMarker(found: Marker | undefined, lost: boolean): Marker {
    // After lost writes the id changes, so that other tabs notice it too. If another tab has changed it, it stays.
    const isNew = !found || (lost && found.databaseId === this.#known?.databaseId);
    return { databaseId: isNew ? newId() : found.databaseId, revision: (found?.revision ?? 0) + 1 };
  }

  #setBase(id: string, conversation: Conversation | undefined): void {
    if (conversation) this.#bases.set(id, conversation);
    else this.#bases.delete(id);
  }

  /** The state of the database that this tab has read or written last, to be passed to {@link isBehind} later. */
  get state(): string | undefined {
    return this.#known && `${this.#known.databaseId} ${this.#known.revision}`;
  }

  /** The state of the database after its next write, for copies that have more than it. Like {@link state}. */
  get nextState(): string {
    return `${this.#known?.databaseId ?? 'unknown'} ${(this.#known?.revision ?? 0) + 1}`;
  }

  /**
   * Whether {@link adopt} got the state of a database that has lost something: a new one, another one or an earlier state
   * of it.
   * @param noted an earlier value of {@link state}, possibly another tab's; undefined if there is none
   */
  isBehind(noted: string | undefined): boolean {
    const marker = markerOf(noted);
    return !this.#known || (marker !== undefined && isBehind(this.#known, marker));
  }

  /** Whether the database has lost what this tab has stored. {@link save} then stores it again. */
  async hasLostWrites(): Promise<boolean> {
    return this.#hasLost(await this.#database.read(async (records) => markerFrom(await records.get(MARKER_KEY))));
  }

  /**
   * Calls `changed` with what another tab has stored or deleted since {@link readAll} began.
   * @param changed `before` is what this tab knew of the stored record
   */
  onOtherTab(changed: (changes: StoredChange[]) => void): void {
    const follow = (ids: readonly string[]): void => {
      // If it cannot be read now, the next write of the same conversation reads it.
      void this.#readChanges(ids).then(changed, () => {});
    };
    this.#channel.onmessage = ({ data: ids }: MessageEvent<string[]>) => follow(ids);
    if (this.#announced.length > 0) follow(this.#announced.splice(0));
  }

  async #readChanges(ids: readonly string[]): Promise<StoredChange[]> {
    const [marker, records] = await this.#database.read(async (stored) => {
      const values = [];
      for (const id of ids) values.push(conversationFrom(await stored.get(id)));
      return [markerFrom(await stored.get(MARKER_KEY)), values] as const;
    });
    if (this.#hasLost(marker)) return []; // nothing was deleted: the next write finds out, and restores it
    this.#known = marker;
    const changes = ids.map((id, i) => ({ id, before: this.#bases.get(id), after: records[i] }));
    for (const { id, after } of changes) this.#setBase(id, after);
    return changes;
  }

  /** Calls `closed` when the browser closes the database, as it does when it deletes it. */
  onClosed(closed: () => void): void {
    this.#database.onClosed = closed;
  }
}

/** Whether a database is not the known one, or an earlier state of it. */
const isBehind = (found: Marker | undefined, known: Marker): boolean =>
  found?.databaseId !== known.databaseId || found.revision < known.revision;

/** @param noted a value of {@link ConversationStore.state} */
function markerOf(noted: string | undefined): Marker | undefined {
  const [databaseId, revision] = noted?.split(' ') ?? [];
  return databaseId ? { databaseId, revision: Number(revision) } : undefined;
}

const sameMarker = (a: Marker | undefined, b: Marker | undefined): boolean =>
  a?.databaseId === b?.databaseId && a?.revision === b?.revision;

function markerFrom(data: unknown): Marker | undefined {
  const { databaseId, revision } = (data ?? {}) as Partial<Marker>;
  return typeof databaseId === 'string' && typeof revision === 'number' ? { databaseId, revision } : undefined;
}
