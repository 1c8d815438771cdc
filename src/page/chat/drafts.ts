/** Text that was typed and not sent yet, per conversation. Drafts survive a change of view and a reload of this tab. */
import { recall, remember } from '../state/web-storage.ts';

const KEY = 'mixtab-drafts';
const drafts = new Map<string, string>(
  Object.entries(JSON.parse(recall('sessionStorage', KEY) ?? '{}') as Record<string, string>),
);

/** @returns the draft of a conversation; empty if there is none */
export const draftOf = (conversationId: string): string => drafts.get(conversationId) ?? '';

/** Stores a conversation's draft; an empty text removes it. */
export function saveDraft(conversationId: string, text: string): void {
  if (text === '') drafts.delete(conversationId);
  else drafts.set(conversationId, text);
  remember('sessionStorage', KEY, JSON.stringify(Object.fromEntries(drafts)));
}
