/** Exports conversations to files, and imports them. */
import { excerpt, MixtabError } from '../../contract/errors.ts';
import { within } from '../../contract/within.ts';
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

/**
 * Adds the conversations in the files and shows the first one. A file that cannot be read or is damaged keeps back no
 * other one; the first of such errors is shown to the user.
 */
export async function importConversations(files: readonly File[]): Promise<void> {
  const read = await Promise.allSettled(files.map(async (file) => fromFile(await textOf(file), newId, Date.now())));
  const added = read.flatMap((result) => (result.status === 'fulfilled' ? result.value : []));
  const failed = read.find((result) => result.status === 'rejected');
  if (failed) report(failed.reason);
  if (failed && added.length === 0) return;
  addConversations(added);
  if (added.length > 0) void askOnceToPersist();
  if (added[0]) openConversation(added[0].id);
  announcement.value = `${added.length} ${added.length === 1 ? 'conversation' : 'conversations'} imported.`;
}

/** A disk that is asleep takes seconds. One that has failed, or a network drive without its network, may never answer. */
const READ_MS = 60_000;
/** So much is read at once: a slow disk makes progress. */
const PIECE_BYTES = 1 << 22;

/** @throws MixtabError `source-unreachable` if the disk does not answer, or what the browser throws */
async function textOf(file: File): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  for (let start = 0; start < file.size; start += PIECE_BYTES) {
    const piece = file.slice(start, start + PIECE_BYTES).arrayBuffer();
    text += decoder.decode(await within(READ_MS, piece, () => notRead(file.name)), { stream: true });
  }
  return text + decoder.decode();
}

const notRead = (name: string): MixtabError =>
  new MixtabError(
    'source-unreachable',
    `"${excerpt(name)}" could not be read, because its disk has not answered for ${READ_MS / 1000} s.`,
    'Check the disk or the network drive, or copy the file to another one, and choose it again.',
  );

function download(name: string, text: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(
    new Blob([text], { type: name.endsWith('.md') ? 'text/markdown' : 'application/json' }),
  );
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // some browsers read the blob late
}
