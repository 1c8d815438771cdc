import { useRef } from 'preact/hooks';
import { send, stop } from '../app/controller.ts';
import { canSend, generating, isChat, loaded } from '../app/state.ts';
import { entries } from './conversation.ts';

/** Where the user writes. Enter sends, Shift+Enter begins a new line. */
export function Composer() {
  const field = useRef<HTMLTextAreaElement>(null);
  const label = isChat.value ? 'Message' : 'Your text';
  const placeholder = !loaded.value
    ? 'The model is not ready yet …'
    : isChat.value
      ? 'Write a message'
      : entries.value.length > 0
        ? 'Add words, or continue'
        : 'Begin a story';
  const submit = (event?: Event): void => {
    event?.preventDefault();
    const text = field.current?.value ?? '';
    const mayBeEmpty = !isChat.value && entries.value.length > 0;
    if (!canSend.value || (text.trim() === '' && !mayBeEmpty)) return;
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
        aria-label={label}
        placeholder={placeholder}
        onInput={(event) => resize(event.currentTarget)}
        onKeyDown={(event) => {
          if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) submit(event);
        }}
      />
      {generating.value ? (
        <button type="button" class="primary" onClick={stop}>
          Stop
        </button>
      ) : (
        <button type="submit" class="primary" disabled={!canSend.value}>
          {isChat.value ? 'Send' : 'Continue'}
        </button>
      )}
    </form>
  );
}

/** In a plain text the user's words follow the text before, with a space where they need one. */
function joined(text: string): string {
  if (isChat.value) return text.trim();
  const before = entries.value.at(-1)?.text ?? '';
  return before === '' || /\s$/.test(before) || /^[\s.,;:!?'"]/.test(text) ? text : ` ${text}`;
}

function resize(field: HTMLTextAreaElement): void {
  field.style.height = 'auto';
  field.style.height = `${Math.min(field.scrollHeight, 200)}px`;
}
