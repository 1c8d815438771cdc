/** Conversations in IndexedDB, one record each, so that two tabs with two conversations do not overwrite each other. */
import { createStore, del, get, set, values } from 'idb-keyval';
import { MixtabError } from '../../contract/errors.ts';
import { conversationFrom } from './conversation-transfer.ts';
import type { Conversation } from './conversation-tree.ts';

const store = createStore('mixtab-chats', 'conversations');
/** Tells other tabs which record to read again. */
const channel = new BroadcastChannel('mixtab-chats');

/** All that can be read; a damaged record stays in the store, but is not shown. */
export async function readConversations(): Promise<Conversation[]> {
  const records = await values<unknown>(store);
  return records.flatMap((record) => conversationFrom(record) ?? []);
}

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

export async function deleteConversation(id: string): Promise<void> {
  await del(id, store);
  channel.postMessage(id);
}

/** Calls back with what another tab has written; undefined where it deleted it. */
export function onOtherTab(changed: (id: string, conversation: Conversation | undefined) => void): void {
  channel.onmessage = async ({ data: id }: MessageEvent<string>) => {
    changed(id, conversationFrom(await get<unknown>(id, store)));
  };
}
