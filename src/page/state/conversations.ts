/**
 * The conversations in memory, as signals. Every change goes through the functions here, which also write it to the
 * store.
 */
import { batch, computed, signal } from '@preact/signals';
import { copiedIds, readCopies, removeCopy } from './conversation-copies.ts';
import { keepShownPath, mergeConversations, sameConversation } from './conversation-merge.ts';
import { ConversationStore, type StoredChange } from './conversation-store.ts';
import { type Conversation, createConversation, pathOf, removeEmptyAnswers } from './conversation-tree.ts';
import { ConversationWriter } from './conversation-writer.ts';
import { CopyWriter } from './copy-writer.ts';
import { newId } from './new-id.ts';
import { isNotAnswering, readPatiently } from './patient-read.ts';
import { newGeneration, settings } from './settings.ts';
import {
  lostConversations,
  restoredConversations,
  unreadConversations,
  unsavedConversations,
} from './storage-health.ts';
import { froze, noteDrawing, notReopened } from './unfinished-drawing.ts';
import { recall, remember } from './web-storage.ts';

/** Newest first. */
export const conversations = signal<Conversation[]>([]);
/** Id of the conversation that is shown. undefined: a new one, which exists once the user has sent something. */
export const currentId = signal<string | undefined>(undefined);
/** The conversation deleted last, while that can be undone. */
export const deleted = signal<Conversation | undefined>(undefined);
/**
 * Text of the turn that is being written. It has its own signal, so that a token does not re-render the conversation.
 */
export const streaming = signal<{ conversationId: string; turnId: string; text: string } | undefined>(undefined);

/** Id of the conversation in which an answer is being written. */
export const streamingIn = computed(() => streaming.value?.conversationId);

/** The conversation that is shown; undefined for a new one. */
export const current = computed(() => conversations.value.find(({ id }) => id === currentId.value));
/** The shown turns of the current conversation, from the first to the last. */
export const currentPath = computed(() => (current.value ? pathOf(current.value) : []));

const OPEN_KEY = 'mixtab-open';
/** How many conversations are stored. It is not in the same database, so it remains if that is deleted. */
const COUNT_KEY = 'mixtab-stored';
/** The state of the database when conversations were copied last. */
const COPIED_KEY = 'mixtab-copied';

/** The database was read. If not, it may have lost conversations, which has to be found out later. */
let isLoaded = false;

const memory = {
  get: (id: string) => conversations.peek().find((conversation) => conversation.id === id),
  ids: () => conversations.peek().map(({ id }) => id),
};
const store = new ConversationStore(memory);
const copies = new CopyWriter({
  get: memory.get,
  isStreaming: (id) => streamingIn.peek() === id,
  // On a full disk every write may do harm (docs/ui.md). A database that does not answer is no sign of that.
  isPaused: () => unsavedConversations.peek() !== undefined && !isNotAnswering(unsavedConversations.peek()),
  onCopied: () => {
    // Copies that were made because the database does not answer have more than it.
    const state = isNotAnswering(unsavedConversations.peek()) ? store.nextState : isLoaded && store.state;
    if (state) remember('localStorage', COPIED_KEY, state);
  },
});
const writer = new ConversationWriter(store, {
  onSaved: ({ changes, restored }) => {
    applyChanges(changes);
    restoredConversations.value += restored;
    if (isLoaded) noteCount();
    copies.copySoon(changes.map(({ id }) => id));
  },
  onFailure: (error) => {
    unsavedConversations.value = error;
  },
  onSlow: (error, ids) => {
    unsavedConversations.value = error;
    copies.copySoon(ids);
  },
});

/** Stores conversations. If the database does not answer, they are at least copied. Never rejects. */
function save(...ids: string[]): Promise<void> {
  if (isNotAnswering(unsavedConversations.peek())) copies.copySoon(ids);
  return writer.save(...ids);
}

/** What is known of the copies before the database is read. */
interface CopiesBefore {
  /** The state of the database when they were made. */
  state: string | undefined;
  ids: readonly string[];
}

/**
 * Reads all conversations, opens the one that was open last, and listens for changes from other tabs. If the database
 * cannot be read in time, the conversations of which there are copies are shown, and `unreadConversations` says why;
 * once it can be read, they are merged with what is stored. Never rejects.
 */
export async function loadConversations(): Promise<void> {
  // Both before the database is read: what another tab stores and copies meanwhile is neither lost nor deleted.
  const before: CopiesBefore = { state: recall('localStorage', COPIED_KEY), ids: copiedIds() };
  const failure = await readPatiently(
    () => store.readAll(),
    (stored) => batch(() => showStored(store.adopt(stored), before)),
  );
  if (failure && !isLoaded) showCopies(before, failure);
  const open = recall('sessionStorage', OPEN_KEY) ?? recall('localStorage', OPEN_KEY);
  if (open !== undefined && memory.get(open)) reopen(open);
}

/** Shows the copies, as long as the database cannot be read. */
function showCopies({ state }: CopiesBefore, failure: Error): void {
  const all = readCopies();
  store.assume(all, state);
  const others = all.filter(({ id }) => !memory.get(id));
  conversations.value = sorted([...conversations.peek(), ...others]);
  unreadConversations.value = failure;
}

/** Shows what is stored. In memory there may be copies of it, and what the user has added meanwhile. */
function showStored(changes: readonly StoredChange[], before: CopiesBefore): void {
  isLoaded = true;
  unreadConversations.value = undefined;
  if (store.isBehind(before.state)) restoreLost(changes, before);
  else {
    const isNew = ({ id }: StoredChange): boolean => memory.get(id) === undefined;
    const added = changes.filter(isNew).flatMap(({ after }) => (after ? removeEmptyAnswers(after) : []));
    applyChanges(changes.filter((change) => !isNew(change)));
    conversations.value = sorted([...conversations.peek(), ...added]);
    removeDeleted(before.ids);
  }
  store.onOtherTab(applyChanges);
  store.onClosed(() => void writer.check());
  copies.copySoon(memory.ids());
}

/** Restores what the database has lost, and says how much that is. */
function restoreLost(changes: readonly StoredChange[], before: CopiesBefore): void {
  const ids = new Set(changes.map(({ id }) => id));
  const stored = changes.flatMap(({ after }) => (after ? removeEmptyAnswers(after) : []));
  // What is shown already counts as restored if it is not stored.
  const [shown, others] = [true, false].map((inChanges) =>
    conversations.peek().filter(({ id }) => ids.has(id) === inChanges),
  );
  conversations.value = sorted([...others, ...stored]);
  const savedMeanwhile = others.filter(({ id }) => before.ids.includes(id)).length;
  const missing = (Number(recall('localStorage', COUNT_KEY)) || 0) - stored.length - savedMeanwhile;
  const restored = restore(readCopies(), shown);
  const lost = Math.max(missing, restored);
  lostConversations.value = lost > 0 ? { count: lost, restored } : undefined;
  // Said once. Restored conversations are counted when they are stored.
  if (restored === 0) noteCount();
}

/** Removes copies of conversations that a tab deleted which was ended before it could remove them. */
function removeDeleted(copied: readonly string[]): void {
  for (const id of copied) if (!memory.get(id)) removeCopy(id);
}

function noteCount(): void {
  remember('localStorage', COUNT_KEY, String(conversations.peek().length));
}

/**
 * Adds and stores conversations, or turns of them, of which there are only copies.
 * @param found the copies
 * @param shown what the page has made of copies; it still shows the same paths
 * @returns how many conversations have changed
 */
function restore(found: readonly Conversation[], shown: readonly Conversation[]): number {
  const restored = new Map<string, Conversation>();
  for (const copy of [...found, ...shown]) {
    const known = memory.get(copy.id);
    const merged = known ? mergeConversations(undefined, known, copy) : copy;
    const kept = shown.includes(copy) ? keepShownPath(copy, merged) : merged;
    if (kept !== known) replace(copy.id, kept);
    if (merged !== known) restored.set(copy.id, kept);
  }
  if (restored.size === 0) return 0;
  store.restore([...restored.values()]);
  void save(...restored.keys());
  return restored.size;
}

/** Shows the conversation that was open last, unless the page froze while it drew that. */
function reopen(id: string): void {
  if (froze(id)) {
    notReopened.value = id;
    return;
  }
  noteDrawing(id);
  currentId.value = id;
}

/** Tries again to store what is not stored yet. Resolves when that was tried. */
export const saveAgain = (): Promise<void> => writer.flush();
/** Finds out whether the browser has deleted what is stored, and stores it again. */
export const checkStored = (): Promise<void> => writer.check();

/** Merges what is stored now into what this tab has in memory. */
function applyChanges(changes: readonly StoredChange[]): void {
  for (const { id, before, after } of changes) {
    const inMemory = conversations.peek().find((conversation) => conversation.id === id);
    if (after) {
      const merged = inMemory ? keepShownPath(inMemory, mergeConversations(before, inMemory, after)) : after;
      if (merged !== inMemory) replace(id, merged);
    } else if (inMemory && before) {
      // Deleted in another tab. What was added here meanwhile is kept.
      const unchanged =
        sameConversation(before, removeEmptyAnswers(inMemory)) && streaming.peek()?.conversationId !== id;
      if (unchanged) forget(id);
      else void save(id);
    }
  }
}

function replace(id: string, conversation: Conversation): void {
  conversations.value = sorted([...conversations.peek().filter((other) => other.id !== id), conversation]);
}

function forget(id: string): void {
  removeCopy(id);
  batch(() => {
    conversations.value = conversations.peek().filter((conversation) => conversation.id !== id);
    if (currentId.peek() === id) openConversation(undefined);
  });
}

/** Shows a conversation; with undefined, a new one. This tab shows it again after a reload. */
export function openConversation(id: string | undefined): void {
  if (id !== currentId.peek()) noteDrawing(id);
  notReopened.value = undefined;
  currentId.value = id;
  for (const area of ['sessionStorage', 'localStorage'] as const) remember(area, OPEN_KEY, id ?? '');
}

/** Adds an empty conversation and shows it. It is stored with its first turn. */
export function beginConversation(kind: Conversation['kind']): Conversation {
  const conversation = createConversation(
    { id: newId(), kind, generation: newGeneration(settings.value, kind) },
    Date.now(),
  );
  batch(() => {
    conversations.value = sorted([...conversations.value, conversation]);
    openConversation(conversation.id);
  });
  return conversation;
}

/**
 * Changes a conversation.
 * @param options.store also write it to the store; default: true
 * @returns the changed conversation; undefined if there is none with this id
 */
export function updateConversation(
  id: string,
  change: (conversation: Conversation) => Conversation,
  { store: isStored = true }: { store?: boolean } = {},
): Conversation | undefined {
  const before = conversations.value.find((conversation) => conversation.id === id);
  if (!before) return undefined;
  const after = change(before);
  conversations.value = sorted(
    conversations.value.map((conversation) => (conversation.id === id ? after : conversation)),
  );
  if (isStored) void save(id);
  return after;
}

/** Adds conversations and stores them. */
export function addConversations(added: readonly Conversation[]): void {
  for (const conversation of added) {
    // Another tab may have stored a deleted one again.
    const existing = conversations.value.find(({ id }) => id === conversation.id);
    replace(conversation.id, existing ? mergeConversations(undefined, conversation, existing) : conversation);
  }
  void save(...added.map(({ id }) => id));
}

/** Sets the title. A blank title is ignored. */
export function renameConversation(id: string, title: string): void {
  if (title.trim() !== '') updateConversation(id, (conversation) => ({ ...conversation, title: title.trim() }));
}

/** Deletes a conversation at once, in memory and in the store. {@link undoDelete} restores it. */
export function removeConversation(id: string): void {
  const conversation = conversations.value.find((candidate) => candidate.id === id);
  if (!conversation) return;
  batch(() => {
    deleted.value = conversation;
    forget(id);
  });
  void save(id); // it is no longer in memory, so it is deleted
}

/** Restores and shows the conversation deleted last. */
export function undoDelete(): void {
  const conversation = deleted.value;
  if (!conversation) return;
  deleted.value = undefined;
  addConversations([conversation]);
  openConversation(conversation.id);
}

const sorted = (list: readonly Conversation[]): Conversation[] => list.toSorted((a, b) => b.changedAt - a.changedAt);
