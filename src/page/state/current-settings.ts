/** How the conversation on the page is written, or the next one where there is none yet. */
import { computed } from '@preact/signals';
import { current, updateConversation } from './conversations.ts';
import type { WritingSettings } from './generation-settings.ts';
import { changeSettings, newWriting, settings } from './settings.ts';
import { isChat } from './state.ts';

export const currentKind = computed(() => (isChat.value ? 'chat' : 'text'));
export const currentWriting = computed<WritingSettings>(
  () => current.value?.writing ?? newWriting(settings.value, currentKind.value),
);

/** New conversations of its kind begin with the same, but for the system prompt. */
export function changeWriting(changes: Partial<WritingSettings>): void {
  const conversation = current.value;
  if (conversation)
    updateConversation(conversation.id, (before) => ({ ...before, writing: { ...before.writing, ...changes } }));
  const { systemPrompt: _own, ...shared } = changes;
  const next = { ...newWriting(settings.value, currentKind.value), ...(conversation ? shared : changes) };
  changeSettings(currentKind.value === 'chat' ? { writing: next } : { textWriting: next });
}
