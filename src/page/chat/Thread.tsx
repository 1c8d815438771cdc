import { useComputed } from '@preact/signals';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { CopyButton } from '../../ui/CopyButton.tsx';
import { IconButton } from '../../ui/IconButton.tsx';
import { textsFrom } from '../services/answer-tokens.ts';
import { services } from '../services/services.ts';
import type { Turn } from '../state/conversation-tree.ts';
import { current, currentId, currentPath, streaming } from '../state/conversations.ts';
import { draftOf, saveDraft } from '../state/drafts.ts';
import { canSend } from '../state/generation.ts';
import { noteDrawing } from '../state/unfinished-drawing.ts';
import { Dots, Stats } from './AnswerStats.tsx';
import { AnswerTokens, TokensButton } from './AnswerTokens.tsx';
import { DrawLater } from './DrawLater.tsx';
import { drawing, plainWork } from './drawing-queue.ts';
import { Markdown } from './Markdown.tsx';
import { loadMarkdown, markdownCode } from './markdown-code.ts';
import { ContextCut, EarlierMissing, OverflowChoices, RestMissing } from './Overflow.tsx';
import { Versions } from './Versions.tsx';

/** The newest messages that are drawn at first, and how many more a click shows. All of a long chat would take seconds. */
const DRAWN = 200;
/** The work of drawing a message without its text, in characters of prose: buttons and figures. */
const MESSAGE_WORK = 300;
/** If the code that renders Markdown is not loaded after this time, in milliseconds, answers are drawn as plain text. */
const LOAD_MS = 3000;

/** A chat: the messages of the user and the answers of the model. Give it the chat's id as its key. */
export function Thread() {
  const path = currentPath.value;
  // It is a position, not a number of messages: a new message does not push the oldest one off the page.
  const [firstDrawn, setFirstDrawn] = useState(Math.max(0, path.length - DRAWN));
  const first = Math.min(firstDrawn, Math.max(0, path.length - DRAWN));
  const firstSeen = current.value?.seenFrom?.turn;
  const system = current.value?.generation.systemPrompt.trim();
  const ready = useMarkdown(path);
  const showEarlier = (): void => {
    drawing.expectAbove();
    setFirstDrawn(Math.max(0, first - DRAWN));
  };
  useLayoutEffect(() => {
    const drawAll = (): void => {
      drawing.expectAbove();
      setFirstDrawn(0);
      queueMicrotask(() => void drawing.drawAll()); // after the microtask in which Preact renders
    };
    addEventListener('beforeprint', drawAll);
    return () => removeEventListener('beforeprint', drawAll);
  }, []);
  return (
    <>
      {system && (
        <details class="system">
          <summary>System prompt</summary>
          <p class="plain">{system}</p>
        </details>
      )}
      {first > 0 && (
        <button type="button" class="earlier" onClick={showEarlier}>
          Show earlier messages ({first})
        </button>
      )}
      <ol class="messages" aria-label="Conversation" aria-busy={ready ? drawing.busy : true} start={first + 1}>
        {ready &&
          path.slice(first).map((turn, i) => (
            <DrawLater key={turn.id} work={MESSAGE_WORK + plainWork(turn.text)}>
              {() => (
                <Message
                  turn={turn}
                  last={first + i === path.length - 1}
                  cutBefore={turn.id === firstSeen && first + i > 0}
                />
              )}
            </DrawLater>
          ))}
      </ol>
    </>
  );
}

/**
 * Loads the code that renders Markdown.
 * @returns whether the messages can be drawn: once it is loaded, cannot be, or takes long, or if there is no answer yet
 */
function useMarkdown(path: readonly Turn[]): boolean {
  const [settled, setSettled] = useState(false);
  const ready = useRef(false);
  ready.current ||= settled || !!markdownCode.peek() || !path.some(({ by, text }) => by === 'model' && text !== '');
  useLayoutEffect(() => {
    if (markdownCode.peek()) return;
    const settle = (): void => {
      if (!ready.current) noteDrawing(currentId.peek()); // the drawing begins only now
      setSettled(true);
    };
    const timer = setTimeout(settle, LOAD_MS);
    void loadMarkdown().then(settle);
    return () => clearTimeout(timer);
  }, []);
  return ready.current;
}

interface MessageProps {
  turn: Turn;
  /** The newest message of the chat. */
  last: boolean;
  /** The model does not see the messages before this one. */
  cutBefore: boolean;
}

function Message({ turn, last, cutBefore }: MessageProps) {
  return (
    <li class={`message ${turn.by}${last ? ' last' : ''}`}>
      {turn.missingBefore && <EarlierMissing count={turn.missingBefore.count} kind="chat" />}
      {cutBefore && <ContextCut />}
      <span class="visually-hidden">{turn.by === 'user' ? 'You' : 'Model'}:</span>
      {turn.by === 'user' ? <UserMessage turn={turn} last={last} /> : <Answer turn={turn} last={last} />}
    </li>
  );
}

function UserMessage({ turn, last }: { turn: Turn; last: boolean }) {
  const [editing, setEditing] = useState<'draft' | 'clicked' | undefined>(
    draftOf(editKey(turn)) === '' ? undefined : 'draft',
  );
  if (editing) return <MessageEditor turn={turn} focus={editing === 'clicked'} onDone={() => setEditing(undefined)} />;
  return (
    <>
      <p class="bubble plain">{turn.text}</p>
      {turn.isCut && <RestMissing />}
      <div class="actions">
        <Versions turn={turn} />
        <IconButton icon="edit" label="Edit message" disabled={!canSend.value} onClick={() => setEditing('clicked')} />
        <CopyButton text={() => turn.text} label="Copy message" />
        {last && canSend.value && (
          <IconButton icon="forward" label="Answer" onClick={() => void services.answers.answerMessage(turn)} />
        )}
      </div>
    </>
  );
}

function Answer({ turn, last }: { turn: Turn; last: boolean }) {
  // A computed signal, so that a new token re-renders its own message only.
  const streamed = useComputed(() => (streaming.value?.turnId === turn.id ? streaming.value.text : undefined)).value;
  const text = streamed ?? turn.text;
  const [{ tokens, height }, setShown] = useState<{ tokens: boolean; height?: number }>({ tokens: false });
  const body = useRef<HTMLDivElement>(null);
  const toggleTokens = (): void => setShown({ tokens: !tokens, height: heightAboveActions(body.current) });
  const texts = tokens && streamed === undefined && current.value && textsFrom(current.value, turn.id);
  return (
    <div ref={body} aria-busy={streamed !== undefined}>
      {tokens && streamed === undefined && !texts && (
        <p class="hint">The model does not see this answer any more, so its tokens cannot be followed.</p>
      )}
      {text === '' ? (
        <Dots />
      ) : (
        <AnswerTokens texts={texts || undefined}>
          <Markdown text={text} minHeight={height} />
        </AnswerTokens>
      )}
      {streamed === undefined && (
        <>
          {turn.isCut && <RestMissing />}
          {turn.stats?.contextFull && last && (
            <div class="notice">
              <p>The answer ends here because the model's context is full.</p>
              <OverflowChoices />
            </div>
          )}
          <AnswerActions turn={turn} last={last} tokens={tokens} onTokens={toggleTokens} />
        </>
      )}
    </div>
  );
}

/** @returns CSS pixels */
function heightAboveActions(answer: HTMLElement | null): number | undefined {
  const actions = answer?.querySelector('.context-cut, .actions');
  return answer && actions ? actions.getBoundingClientRect().top - answer.getBoundingClientRect().top : undefined;
}

interface AnswerActionsProps {
  turn: Turn;
  last: boolean;
  /** Whether the answer is shown as tokens. */
  tokens: boolean;
  onTokens: () => void;
}

function AnswerActions({ turn, last, tokens, onTokens }: AnswerActionsProps) {
  const { stats } = turn;
  const canContinue = last && stats?.finishReason !== 'stop' && !stats?.contextFull;
  return (
    <div class="actions">
      <Versions turn={turn} />
      <CopyButton text={() => turn.text} label="Copy answer" />
      <IconButton
        icon="regenerate"
        label="Regenerate"
        disabled={!canSend.value}
        onClick={() => void services.answers.regenerate(turn)}
      />
      {canContinue && (
        <IconButton
          icon="forward"
          label="Continue"
          disabled={!canSend.value}
          onClick={() => void services.answers.continueAnswer(turn)}
        />
      )}
      <TokensButton shown={tokens} onClick={onTokens} />
      {stats && <Stats stats={stats} />}
    </div>
  );
}

/** The draft of an edited message survives a reload, as other drafts do. */
const editKey = ({ id }: Turn): string => `edit/${id}`;

interface MessageEditorProps {
  turn: Turn;
  /** Moves the focus here. Not for a draft that is drawn some time after its conversation was opened. */
  focus: boolean;
  onDone: () => void;
}

function MessageEditor({ turn, focus, onDone: close }: MessageEditorProps) {
  const onDone = (): void => {
    saveDraft(editKey(turn), '');
    close();
  };
  return (
    <form
      class="editor"
      onSubmit={(event) => {
        event.preventDefault();
        void services.answers.editMessage(turn, new FormData(event.currentTarget).get('text') as string);
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
        defaultValue={draftOf(editKey(turn)) || turn.text}
        onInput={(event) => saveDraft(editKey(turn), event.currentTarget.value)}
        ref={focus ? focusAtEnd : undefined}
      />
      <div class="row">
        <button type="button" class="quiet" onClick={onDone}>
          Cancel
        </button>
        <button type="submit" class="primary">
          Save and send
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
