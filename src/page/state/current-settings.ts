/** Generation settings of the conversation that is shown, or of the next one if a new one is shown. */
import { computed } from '@preact/signals';
import { current, updateConversation } from './conversations.ts';
import type { GenerationSettings } from './generation-settings.ts';
import { loaded, models, requestedId } from './models.ts';
import { changeSettings, newGeneration, settings } from './settings.ts';

/**
 * The kind of the current conversation, or of the next one: that of the loaded model, else of the one that is being
 * loaded or was to be loaded last. While a model is loaded again, changes would otherwise be to settings of texts.
 */
export const currentKind = computed(() => current.value?.kind ?? (modelChats() ? 'chat' : 'text'));

function modelChats(): boolean {
  if (loaded.value) return loaded.value.summary.hasChatTemplate;
  const id = requestedId.value ?? settings.value.lastModelId;
  const model = models.value.find((candidate) => candidate.id === id);
  return model !== undefined && (model.hasChatTemplate || settings.value.chatFormats[model.id] !== undefined);
}

/** The generation settings that the next answer uses. */
export const currentGeneration = computed<GenerationSettings>(
  () => current.value?.generation ?? newGeneration(settings.value, currentKind.value),
);

/** Changes the settings, also for new conversations of the same kind. A conversation's system prompt is its own. */
export function changeGeneration(changes: Partial<GenerationSettings>): void {
  const conversation = current.value;
  if (conversation)
    updateConversation(conversation.id, (before) => ({ ...before, generation: { ...before.generation, ...changes } }));
  const { systemPrompt: _own, ...shared } = changes;
  const next = { ...newGeneration(settings.value, currentKind.value), ...(conversation ? shared : changes) };
  changeSettings(currentKind.value === 'chat' ? { chatGeneration: next } : { textGeneration: next });
}
