/**
 * The conversations in memory, as signals. Every change goes through the functions here, which also write it to the
 * store.
 */
import { batch, computed, signal } from '@preact/signals';
import { deleteConversation, onOtherTab, readConversations, writeConversation } from './conversation-store.ts';
import { type Conversation, createConversation, pathOf, removeTurn } from './conversation-tree.ts';
import { newId } from './new-id.ts';
import { newGeneration, settings } from './settings.ts';
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

let storeFailed: (error: unknown) => void = () => {};
/** Sets the handler for errors of the store, such as a full disk. The page still holds the conversation in memory. */
export function onStoreFailure(handler: (error: unknown) => void): void {
  storeFailed = handler;
}

const write = (conversation: Conversation): Promise<void> => writeConversation(conversation).catch(storeFailed);

const OPEN_KEY = 'mixtab-open';

/** Reads all conversations, opens the one that was open last, and listens for changes from other tabs. */
export async function loadConversations(): Promise<void> {
  const stored = await readConversations();
  conversations.value = sorted(stored.map(withoutEmptyAnswers));
  const open = recall('sessionStorage', OPEN_KEY) ?? recall('localStorage', OPEN_KEY);
  if (stored.some(({ id }) => id === open)) currentId.value = open;
  onOtherTab((id, conversation) => {
    if (streaming.value?.conversationId === id) return; // this tab has a newer version
    const others = conversations.value.filter((other) => other.id !== id);
    conversations.value = conversation ? sorted([...others, conversation]) : others;
    if (!conversation && currentId.value === id) openConversation(undefined);
  });
}

/** Removes empty answers, which remain if a tab is closed before the first token. */
const withoutEmptyAnswers = (conversation: Conversation): Conversation =>
  conversation.turns
    .filter(({ by, text }) => by === 'model' && text === '')
    .reduce((remaining, { id }) => removeTurn(remaining, id), conversation);

/** Shows a conversation; with undefined, a new one. This tab shows it again after a reload. */
export function openConversation(id: string | undefined): void {
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
  { store = true }: { store?: boolean } = {},
): Conversation | undefined {
  const before = conversations.value.find((conversation) => conversation.id === id);
  if (!before) return undefined;
  const after = change(before);
  conversations.value = sorted(
    conversations.value.map((conversation) => (conversation.id === id ? after : conversation)),
  );
  if (store) void write(after);
  return after;
}

/** Adds conversations and stores them. */
export function addConversations(added: readonly Conversation[]): void {
  conversations.value = sorted([...conversations.value, ...added]);
  for (const conversation of added) void write(conversation);
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
    conversations.value = conversations.value.filter((candidate) => candidate !== conversation);
    deleted.value = conversation;
    if (currentId.value === id) openConversation(undefined);
  });
  void deleteConversation(id).catch(storeFailed);
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
