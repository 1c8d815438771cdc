/** Exports conversations to files, and imports them. */
import { fileName, fromFile, toJson, toMarkdown } from '../state/conversation-transfer.ts';
import type { Conversation } from '../state/conversation-tree.ts';
import { addConversations, conversations, openConversation } from '../state/conversations.ts';
import { newId } from '../state/new-id.ts';
import { announcement } from '../state/notices.ts';
import { askOnceToPersist } from './disk-space.ts';
import { report } from './problems.ts';

/** Downloads one conversation as a file. */
export function exportConversation(conversation: Conversation, format: 'json' | 'md'): void {
  const text = format === 'json' ? toJson([conversation]) : toMarkdown(conversation);
  download(fileName(conversation.title, format), text);
}

/** Downloads all conversations as one JSON file. */
export function exportAll(): void {
  download('mixtab-conversations.json', toJson(conversations.value));
}

/** Adds the conversations in the files and shows the first one. Errors are shown to the user. */
export async function importConversations(files: readonly File[]): Promise<void> {
  try {
    const texts = await Promise.all(files.map((file) => file.text()));
    const added = texts.flatMap((text) => fromFile(text, newId, Date.now()));
    addConversations(added);
    if (added.length > 0) void askOnceToPersist();
    if (added[0]) openConversation(added[0].id);
    announcement.value = `${added.length} ${added.length === 1 ? 'conversation' : 'conversations'} imported.`;
  } catch (error) {
    report(error);
  }
}

function download(name: string, text: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(
    new Blob([text], { type: name.endsWith('.md') ? 'text/markdown' : 'application/json' }),
  );
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // some browsers read the blob late
}
