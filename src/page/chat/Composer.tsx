import { useLayoutEffect, useRef } from 'preact/hooks';
import { Icon } from '../../ui/icons.tsx';
import { send, stop } from '../services/answers.ts';
import { currentPath } from '../state/conversations.ts';
import { changeGeneration, currentGeneration } from '../state/current-settings.ts';
import { PRESETS, presetOf } from '../state/generation-settings.ts';
import { lossyOf, settings } from '../state/settings.ts';
import { canSend, isChat, loaded, stopping, streamingHere, wrongModel } from '../state/state.ts';
import { recall, remember } from '../state/web-storage.ts';

/** Words not sent yet, by conversation; they outlive a look at another view, and a reload of this tab. */
const DRAFTS_KEY = 'mixtab-drafts';
const drafts = new Map<string, string>(
  Object.entries(JSON.parse(recall('sessionStorage', DRAFTS_KEY) ?? '{}') as Record<string, string>),
);

function keepDraft(conversationId: string, text: string): void {
  if (text === '') drafts.delete(conversationId);
  else drafts.set(conversationId, text);
  remember('sessionStorage', DRAFTS_KEY, JSON.stringify(Object.fromEntries(drafts)));
}

/** Where the user writes. Enter sends, Shift+Enter begins a new line, Escape stops. */
export function Composer({ conversationId }: { conversationId: string }) {
  const field = useRef<HTMLTextAreaElement>(null);
  // Not by a key: the field must keep the focus when a new conversation gets its id.
  useLayoutEffect(() => {
    if (!field.current) return;
    field.current.value = drafts.get(conversationId) ?? '';
    resize(field.current);
  }, [conversationId]);
  const chat = isChat.value;
  const started = currentPath.value.length > 0;
  const placeholder = !loaded.value
    ? 'The model is not ready yet …'
    : chat
      ? 'Write a message'
      : started
        ? 'Add words, or continue'
        : 'Begin a story';
  const submit = (event?: Event): void => {
    event?.preventDefault();
    const text = field.current?.value ?? '';
    const mayBeEmpty = !chat && started;
    if (!canSend.value || (text.trim() === '' && !mayBeEmpty)) return;
    keepDraft(conversationId, '');
    if (field.current) {
      field.current.value = '';
      resize(field.current);
    }
    void send(text.trim() === '' ? '' : joined(text));
  };
  return (
    <form class="composer" onSubmit={submit}>
      <textarea
        ref={field}
        rows={1}
        aria-label={chat ? 'Message' : 'Your text'}
        placeholder={placeholder}
        onInput={(event) => {
          keepDraft(conversationId, event.currentTarget.value);
          resize(event.currentTarget);
        }}
        onKeyDown={(event) => {
          if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) submit(event);
          if (event.key === 'Escape' && streamingHere.value) stop();
        }}
      />
      <div class="composer-row">
        <PresetChoice />
        <ContextMeter />
        {lossyOf(settings.value) && (
          <span
            class="meter"
            title="Experts are chosen by what is at hand, as the settings say: not what the model computes"
          >
            not exact
          </span>
        )}
        <span class="spring" />
        {streamingHere.value ? (
          <button type="button" class="primary" disabled={stopping.value} onClick={stop}>
            <Icon name="stop" />
            {stopping.value ? 'Stopping' : 'Stop'}
          </button>
        ) : (
          <button type="submit" class="primary" disabled={!canSend.value}>
            <Icon name={chat ? 'send' : 'forward'} />
            {chat ? 'Send' : 'Continue'}
          </button>
        )}
      </div>
    </form>
  );
}

/** How the model chooses its words. */
function PresetChoice() {
  const chosen = presetOf(currentGeneration.value);
  return (
    <select
      class="quiet"
      aria-label="How the model chooses its words"
      title={chosen?.help ?? 'As set in the settings'}
      value={chosen?.name ?? ''}
      onChange={(event) => {
        const preset = PRESETS.find(({ name }) => name === event.currentTarget.value);
        if (preset) changeGeneration(preset.sampling);
      }}
    >
      {!chosen && <option value="">Own settings</option>}
      {PRESETS.map(({ name }) => (
        <option key={name} value={name}>
          {name}
        </option>
      ))}
    </select>
  );
}

/** How much of the context the conversation takes, once a good part of it is gone. */
function ContextMeter() {
  const context = loaded.value?.context;
  const stats = currentPath.value.findLast((turn) => turn.stats)?.stats;
  if (!context || !stats || wrongModel.value) return null;
  const used = Math.min(context, stats.promptTokens + stats.tokens);
  if (used < context * 0.5) return null;
  return (
    <span
      class={used > context * 0.85 ? 'meter near' : 'meter'}
      title="Tokens of the context that this conversation takes"
    >
      {used} / {context}
      <span class="wide-only"> tokens</span>
    </span>
  );
}

/** In a plain text the user's words follow the text before, with a space where they need one. */
function joined(text: string): string {
  if (isChat.value) return text.trim();
  const before = currentPath.value.at(-1)?.text ?? '';
  return before === '' || /\s$/.test(before) || /^[\s.,;:!?'"]/.test(text) ? text : ` ${text}`;
}

function resize(field: HTMLTextAreaElement): void {
  field.style.height = 'auto';
  field.style.height = `${Math.min(field.scrollHeight, 200)}px`;
}
