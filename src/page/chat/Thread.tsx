import { useComputed } from '@preact/signals';
import { useState } from 'preact/hooks';
import { CopyButton } from '../../ui/CopyButton.tsx';
import { IconButton } from '../../ui/IconButton.tsx';
import { continueAnswer, editMessage, regenerate } from '../services/answers.ts';
import { choose, type Turn, versionsOf } from '../state/conversation-tree.ts';
import { current, currentPath, streaming, updateConversation } from '../state/conversations.ts';
import { canSend, streamingHere } from '../state/state.ts';
import { Dots, Stats } from './AnswerStats.tsx';
import { Markdown } from './Markdown.tsx';
import { OverflowChoices } from './Overflow.tsx';

/** A chat: messages in turn. */
export function Thread() {
  const path = currentPath.value;
  const from = current.value?.seenFrom?.turn;
  const system = current.value?.generation.systemPrompt.trim();
  return (
    <>
      {system && (
        <details class="system">
          <summary>System prompt</summary>
          <p class="plain">{system}</p>
        </details>
      )}
      <ol class="messages" aria-label="Conversation">
        {path.map((turn, i) => (
          <Message key={turn.id} turn={turn} last={i === path.length - 1} cutBefore={turn.id === from && i > 0} />
        ))}
      </ol>
    </>
  );
}

function Message({ turn, last, cutBefore }: { turn: Turn; last: boolean; cutBefore: boolean }) {
  const [editing, setEditing] = useState(false);
  return (
    <li class={`message ${turn.by}${last ? ' last' : ''}`}>
      {cutBefore && <CutMark />}
      <span class="visually-hidden">{turn.by === 'user' ? 'You' : 'Model'}:</span>
      {turn.by === 'model' ? (
        <Answer turn={turn} last={last} />
      ) : editing ? (
        <MessageEditor turn={turn} onDone={() => setEditing(false)} />
      ) : (
        <>
          <p class="bubble plain">{turn.text}</p>
          <div class="actions">
            <Versions turn={turn} />
            <IconButton icon="edit" label="Edit message" disabled={!canSend.value} onClick={() => setEditing(true)} />
            <CopyButton text={() => turn.text} label="Copy message" />
          </div>
        </>
      )}
    </li>
  );
}

/** Above it is what the user took out of the model's sight. */
export function CutMark() {
  const undo = (): void => {
    if (current.value)
      updateConversation(current.value.id, (conversation) => ({ ...conversation, seenFrom: undefined }));
  };
  return (
    <p class="cut" role="note">
      <span>The model no longer sees what is above.</span>
      <button type="button" class="quiet" onClick={undo}>
        Show it all again
      </button>
    </p>
  );
}

function Answer({ turn, last }: { turn: Turn; last: boolean }) {
  // Computed, so that a word that comes draws its own message anew and no other.
  const streamed = useComputed(() => (streaming.value?.turnId === turn.id ? streaming.value.text : undefined)).value;
  const text = streamed ?? turn.text;
  const { stats } = turn;
  return (
    <div aria-busy={streamed !== undefined}>
      {text === '' ? <Dots /> : <Markdown text={text} />}
      {streamed === undefined && (
        <>
          {stats?.contextFull && last && (
            <div class="notice">
              <p>The answer ends here because the model's context is full.</p>
              <OverflowChoices />
            </div>
          )}
          <div class="actions">
            <Versions turn={turn} />
            <CopyButton text={() => turn.text} label="Copy answer" />
            <IconButton
              icon="again"
              label="Another answer"
              disabled={!canSend.value}
              onClick={() => void regenerate(turn)}
            />
            {last && stats?.finishReason !== 'stop' && !stats?.contextFull && (
              <IconButton
                icon="forward"
                label="Continue the answer"
                disabled={!canSend.value}
                onClick={() => void continueAnswer(turn)}
              />
            )}
            {stats && <Stats stats={stats} />}
          </div>
        </>
      )}
    </div>
  );
}

/** Which version of a turn is shown, where there are several. */
export function Versions({ turn }: { turn: Turn }) {
  if (!current.value) return null;
  const { versions, index } = versionsOf(current.value, turn.id);
  if (versions.length < 2) return null;
  const show = (step: number): void => {
    updateConversation(current.value!.id, (conversation) => choose(conversation, versions[index + step].id));
  };
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset does not stand in a line
    <span class="versions" role="group" aria-label="Versions">
      <IconButton
        icon="left"
        label="Version before"
        disabled={index === 0 || streamingHere.value}
        onClick={() => show(-1)}
      />
      <span class="count">
        {index + 1} / {versions.length}
      </span>
      <IconButton
        icon="right"
        label="Version after"
        disabled={index === versions.length - 1 || streamingHere.value}
        onClick={() => show(1)}
      />
    </span>
  );
}

function MessageEditor({ turn, onDone }: { turn: Turn; onDone: () => void }) {
  return (
    <form
      class="editor"
      onSubmit={(event) => {
        event.preventDefault();
        void editMessage(turn, new FormData(event.currentTarget).get('text') as string);
        onDone();
      }}
      onKeyDown={(event) => {
        if (event.key === 'Escape') onDone();
        if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
          event.preventDefault();
          event.currentTarget.requestSubmit();
        }
      }}
    >
      <textarea
        name="text"
        aria-label="Edited message"
        rows={Math.min(10, turn.text.split('\n').length + 1)}
        defaultValue={turn.text}
        ref={focusAtEnd}
      />
      <div class="row">
        <button type="button" class="quiet" onClick={onDone}>
          Cancel
        </button>
        <button type="submit" class="primary">
          Send edited
        </button>
      </div>
    </form>
  );
}

function focusAtEnd(field: HTMLTextAreaElement | null): void {
  if (!field || field === document.activeElement) return;
  field.focus();
  field.setSelectionRange(field.value.length, field.value.length);
}
