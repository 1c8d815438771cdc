import { useLayoutEffect, useRef } from 'preact/hooks';
import { Icon } from '../../ui/icons.tsx';
import { services } from '../services/services.ts';
import { currentPath } from '../state/conversations.ts';
import { changeGeneration, currentGeneration } from '../state/current-settings.ts';
import { draftOf, restoredDrafts, saveDraft } from '../state/drafts.ts';
import { canSend, isChat, stopping, streamingHere, wrongModel } from '../state/generation.ts';
import { PRESETS, presetOf } from '../state/generation-settings.ts';
import { loaded } from '../state/models.ts';
import { lossyOf, settings } from '../state/settings.ts';

/** Largest height of the text field, in CSS pixels. chat.css has the same value. */
const MAX_HEIGHT = 200;
/** Shares of the context from which its use is shown, and from which it is shown as a warning. */
const CONTEXT_USE = { shown: 0.5, warning: 0.85 };

/** The text field and its controls. Enter sends, Shift+Enter adds a line, Escape stops the answer. */
export function Composer({ conversationId }: { conversationId: string }) {
  const field = useRef<HTMLTextAreaElement>(null);
  // An effect and not a `key` on the field, which would lose the focus when a new conversation gets its id.
  useLayoutEffect(() => {
    if (field.current) setText(field.current, draftOf(conversationId));
  }, [conversationId, restoredDrafts.value]);
  const submit = (event?: Event): void => {
    event?.preventDefault();
    const text = field.current?.value ?? '';
    const isBlank = text.trim() === '';
    const mayBeBlank = !isChat.value && currentPath.value.length > 0;
    if (!canSend.value || (isBlank && !mayBeBlank)) return;
    saveDraft(conversationId, '');
    if (field.current) setText(field.current, '');
    void services.answers.send(isBlank ? '' : textToSend(text));
  };
  return (
    <form class="composer" onSubmit={submit}>
      <textarea
        ref={field}
        rows={1}
        aria-label={isChat.value ? 'Message' : 'Your text'}
        placeholder={placeholder()}
        onInput={(event) => {
          saveDraft(conversationId, event.currentTarget.value);
          resize(event.currentTarget);
        }}
        onKeyDown={(event) => {
          if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) submit(event);
          if (event.key === 'Escape' && streamingHere.value) services.runs.stop();
        }}
      />
      <div class="composer-row">
        <PresetSelect />
        <ContextMeter />
        {lossyOf(settings.value) && <ApproximateMark />}
        <span class="spacer" />
        {streamingHere.value ? <StopButton /> : <SendButton />}
      </div>
    </form>
  );
}

function placeholder(): string {
  if (!loaded.value) return 'No model loaded yet';
  if (isChat.value) return 'Send a message';
  return currentPath.value.length > 0 ? 'Add text, or just continue' : 'Start a story';
}

const StopButton = () => (
  <button type="button" class="primary" disabled={stopping.value} onClick={() => services.runs.stop()}>
    <Icon name="stop" />
    {stopping.value ? 'Stopping' : 'Stop'}
  </button>
);

const SendButton = () => (
  <button type="submit" class="primary" disabled={!canSend.value}>
    <Icon name={isChat.value ? 'send' : 'forward'} />
    {isChat.value ? 'Send' : 'Continue'}
  </button>
);

const ApproximateMark = () => (
  <span class="meter" title="Approximate mode is on in Settings, so answers can differ from the exact model">
    approximate
  </span>
);

/** Selects how the next token is sampled. */
function PresetSelect() {
  const preset = presetOf(currentGeneration.value);
  return (
    <select
      class="quiet"
      aria-label="Sampling preset"
      title={preset?.help ?? 'Custom values, from Settings'}
      value={preset?.name ?? ''}
      onChange={(event) => {
        const selected = PRESETS.find(({ name }) => name === event.currentTarget.value);
        if (selected) changeGeneration(selected.sampling);
      }}
    >
      {!preset && <option value="">Custom</option>}
      {PRESETS.map(({ name }) => (
        <option key={name} value={name}>
          {name}
        </option>
      ))}
    </select>
  );
}

/** How much of the context the conversation uses. Shown once it uses half of it. */
function ContextMeter() {
  const context = loaded.value?.context;
  const stats = currentPath.value.findLast((turn) => turn.stats)?.stats;
  if (!context || !stats || wrongModel.value) return null;
  const used = Math.min(context, stats.promptTokens + stats.tokens);
  if (used < context * CONTEXT_USE.shown) return null;
  return (
    <span
      class={used > context * CONTEXT_USE.warning ? 'meter warning' : 'meter'}
      title="Tokens of the context that this conversation uses"
    >
      {used} / {context}
      <span class="wide-only"> tokens</span>
    </span>
  );
}

/** In a story the new text follows the old one, so it gets a leading space if it needs one. */
function textToSend(text: string): string {
  if (isChat.value) return text.trim();
  const before = currentPath.value.at(-1)?.text ?? '';
  return before === '' || /\s$/.test(before) || /^[\s.,;:!?'"]/.test(text) ? text : ` ${text}`;
}

function setText(field: HTMLTextAreaElement, text: string): void {
  field.value = text;
  resize(field);
}

function resize(field: HTMLTextAreaElement): void {
  field.style.height = 'auto';
  field.style.height = `${Math.min(field.scrollHeight, MAX_HEIGHT)}px`;
}
