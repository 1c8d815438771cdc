/** The conversations as the page has them in hand. Every change goes through here, and from here to the store. */
import { batch, computed, signal } from '@preact/signals';
import { deleteConversation, onOtherTab, readConversations, writeConversation } from './conversation-store.ts';
import { type Conversation, createConversation, pathOf, removeTurn } from './conversation-tree.ts';
import { newId } from './new-id.ts';
import { newGeneration, settings } from './settings.ts';
import { recall, remember } from './web-storage.ts';

/** Newest first. */
export const conversations = signal<Conversation[]>([]);
/** undefined: a new one, which is kept once something is written in it. */
export const currentId = signal<string | undefined>(undefined);
/** Deleted last, while that can be undone. */
export const deleted = signal<Conversation | undefined>(undefined);
/** Text of the turn that is being written; kept apart, so that a token does not change the whole conversation. */
export const streaming = signal<{ conversationId: string; turnId: string; text: string } | undefined>(undefined);

/** The conversation that is being written. */
export const streamingIn = computed(() => streaming.value?.conversationId);

export const current = computed(() => conversations.value.find(({ id }) => id === currentId.value));
export const currentPath = computed(() => (current.value ? pathOf(current.value) : []));

let storeFailed: (error: unknown) => void = () => {};
/** What to do where the store refuses a conversation (a full disk); the page still has it. */
export function onStoreFailure(handler: (error: unknown) => void): void {
  storeFailed = handler;
}

const keep = (conversation: Conversation): Promise<void> => writeConversation(conversation).catch(storeFailed);

const OPEN_KEY = 'mixtab-open';

export async function loadConversations(): Promise<void> {
  const stored = await readConversations();
  conversations.value = sorted(stored.map(withoutEmptyAnswers));
  const open = recall('sessionStorage', OPEN_KEY) ?? recall('localStorage', OPEN_KEY);
  if (stored.some(({ id }) => id === open)) currentId.value = open;
  onOtherTab((id, conversation) => {
    if (streaming.value?.conversationId === id) return; // ours is newer
    const others = conversations.value.filter((other) => other.id !== id);
    conversations.value = conversation ? sorted([...others, conversation]) : others;
    if (!conversation && currentId.value === id) openConversation(undefined);
  });
}

/** An answer that a closed tab left before its first word. */
const withoutEmptyAnswers = (conversation: Conversation): Conversation =>
  conversation.turns
    .filter(({ by, text }) => by === 'model' && text === '')
    .reduce((left, { id }) => removeTurn(left, id), conversation);

/** Shows a conversation, or (undefined) a new one. This tab comes back to it after a reload. */
export function openConversation(id: string | undefined): void {
  currentId.value = id;
  for (const place of ['sessionStorage', 'localStorage'] as const) remember(place, OPEN_KEY, id ?? '');
}

/** Adds a conversation and shows it. */
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

/** Changes a conversation and, unless told otherwise, keeps it. Returns what became of it. */
export function updateConversation(
  id: string,
  change: (conversation: Conversation) => Conversation,
  kept = true,
): Conversation | undefined {
  const before = conversations.value.find((conversation) => conversation.id === id);
  if (!before) return undefined;
  const after = change(before);
  conversations.value = sorted(
    conversations.value.map((conversation) => (conversation.id === id ? after : conversation)),
  );
  if (kept) void keep(after);
  return after;
}

export function addConversations(added: readonly Conversation[]): void {
  conversations.value = sorted([...conversations.value, ...added]);
  for (const conversation of added) void keep(conversation);
}

export function renameConversation(id: string, title: string): void {
  if (title.trim() !== '') updateConversation(id, (conversation) => ({ ...conversation, title: title.trim() }));
}

/** Gone at once, here and in the store; {@link undoDelete} brings it back. */
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

export function undoDelete(): void {
  const conversation = deleted.value;
  if (!conversation) return;
  deleted.value = undefined;
  addConversations([conversation]);
  openConversation(conversation.id);
}

const sorted = (list: readonly Conversation[]): Conversation[] => list.toSorted((a, b) => b.changedAt - a.changedAt);
