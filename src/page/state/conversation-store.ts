/**
 * Stores conversations in IndexedDB. Each has its own record, so tabs with different conversations do not overwrite
 * each other.
 */
import { createStore, del, get, set, values } from 'idb-keyval';
import { MixtabError } from '../../contract/errors.ts';
import { conversationFrom } from './conversation-transfer.ts';
import type { Conversation } from './conversation-tree.ts';

const store = createStore('mixtab-chats', 'conversations');
/** Carries the ids of changed records to other tabs. */
const channel = new BroadcastChannel('mixtab-chats');

/** Reads all conversations. A damaged record is skipped, but stays in the store. */
export async function readConversations(): Promise<Conversation[]> {
  const records = await values<unknown>(store);
  return records.flatMap((record) => conversationFrom(record) ?? []);
}

/** @throws MixtabError `storage-full`, `storage-unavailable` */
export async function writeConversation(conversation: Conversation): Promise<void> {
  try {
    await set(conversation.id, conversation, store);
  } catch (error) {
    const full = error instanceof DOMException && error.name === 'QuotaExceededError';
    throw new MixtabError(
      full ? 'storage-full' : 'storage-unavailable',
      full ? 'The disk is full, so this conversation was not saved.' : 'The browser did not save this conversation.',
      full ? 'Delete a model, or export the conversation.' : 'Leave the private window, or export the conversation.',
    );
  }
  channel.postMessage(conversation.id);
}

/** Removes a conversation from the store and notifies the other tabs. */
export async function deleteConversation(id: string): Promise<void> {
  await del(id, store);
  channel.postMessage(id);
}

/** Calls `changed` with each conversation that another tab writes, or with undefined if the tab deleted it. */
export function onOtherTab(changed: (id: string, conversation: Conversation | undefined) => void): void {
  channel.onmessage = async ({ data: id }: MessageEvent<string>) => {
    changed(id, conversationFrom(await get<unknown>(id, store)));
  };
}
