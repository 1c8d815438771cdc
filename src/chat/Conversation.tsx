import { useEffect, useRef, useState } from 'preact/hooks';
import { editPlainText, send } from '../app/controller.ts';
import { canSend, generating, isChat, loaded, prefill } from '../app/state.ts';
import { type AnswerStats, type Entry, entries, plainText } from './conversation.ts';
import { Markdown } from './Markdown.tsx';

/** Openings for the built-in story-teller. */
const OPENINGS = [
  'Once upon a time',
  '"Where have you been?" she asked',
  'It was a dark night, and the old house',
  'The captain looked at the sea and said',
];

export function Conversation() {
  const end = useRef<HTMLDivElement>(null);
  const pinned = useRef(true);
  useEffect(() => {
    const onScroll = (): void => {
      const page = document.documentElement;
      pinned.current = page.scrollHeight - page.scrollTop - page.clientHeight < 80;
    };
    addEventListener('scroll', onScroll, { passive: true });
    return () => removeEventListener('scroll', onScroll);
  }, []);
  // Follow the text, unless the reader has scrolled up.
  useEffect(() => {
    if (pinned.current) end.current?.scrollIntoView({ block: 'end' });
  }, [entries.value]);

  return (
    <main class="conversation">
      {entries.value.length === 0 ? <Welcome /> : isChat.value ? <Chat /> : <PlainText />}
      {prefill.value && prefill.value.done < prefill.value.total && (
        <p class="hint">
          Reading the prompt: {prefill.value.done} of {prefill.value.total} tokens
        </p>
      )}
      <div ref={end} class="end" />
    </main>
  );
}

function Welcome() {
  if (!loaded.value) return null;
  const { summary } = loaded.value;
  if (isChat.value) {
    return (
      <section class="welcome">
        <h1>Ask {summary.name}</h1>
        <p>It runs in this tab. Nothing you write leaves your machine.</p>
      </section>
    );
  }
  return (
    <section class="welcome">
      <h1>Begin a story</h1>
      <p>
        <strong>{summary.name}</strong> has no chat template: it is a text completer. It does not answer questions, it
        continues what you write. It runs in this tab, and nothing leaves your machine.
      </p>
      <div class="openings">
        {OPENINGS.map((opening) => (
          <button type="button" key={opening} disabled={!canSend.value} onClick={() => void send(opening)}>
            {opening} …
          </button>
        ))}
      </div>
    </section>
  );
}

function Chat() {
  return (
    <ol class="messages" aria-label="Conversation">
      {entries.value.map((entry, i) => (
        <li key={i} class={`message ${entry.by}`}>
          <span class="visually-hidden">{entry.by === 'user' ? 'You' : 'Model'}:</span>
          {entry.by === 'user' ? <p class="plain">{entry.text}</p> : <Answer entry={entry} last={i === entries.value.length - 1} />}
        </li>
      ))}
    </ol>
  );
}

function Answer({ entry, last }: { entry: Entry; last: boolean }) {
  const writing = last && generating.value;
  return (
    <div aria-live={writing ? 'off' : 'polite'} aria-busy={writing}>
      {entry.text === '' && writing ? <Dots /> : <Markdown text={entry.text} />}
      {entry.stats && <Stats stats={entry.stats} />}
    </div>
  );
}

/** One text, written by the user and the model together; the model's part stands out. */
function PlainText() {
  const [editing, setEditing] = useState(false);
  const last = entries.value.at(-1);
  if (editing && !generating.value) {
    return (
      <form
        class="editor"
        onSubmit={(event) => {
          event.preventDefault();
          editPlainText(new FormData(event.currentTarget).get('text') as string);
          setEditing(false);
        }}
      >
        <textarea name="text" aria-label="The whole text" rows={14} defaultValue={plainText()} />
        <button type="submit">Done</button>
      </form>
    );
  }
  return (
    <article class="story" aria-label="Text" aria-busy={generating.value}>
      <p class="plain">
        {entries.value.map((entry, i) => (
          <span key={i} class={`by-${entry.by}`}>
            {entry.text}
          </span>
        ))}
        {generating.value && <Dots />}
      </p>
      <footer>
        {last?.stats && <Stats stats={last.stats} />}
        {!generating.value && (
          <button type="button" class="quiet nowrap" onClick={() => setEditing(true)}>
            Edit text
          </button>
        )}
      </footer>
    </article>
  );
}

const Dots = () => (
  <span class="dots" role="status" aria-label="The model is writing">
    <i />
    <i />
    <i />
  </span>
);

function Stats({ stats: { tokens, tokensPerSecond, hitRate, finishReason } }: { stats: AnswerStats }) {
  const end = finishReason === 'aborted' ? ' · stopped' : finishReason === 'length' ? ' · length limit' : '';
  return (
    <p class="stats" title="Expert hits: how many of the chosen experts were on the GPU already">
      {tokens} tokens · {tokensPerSecond.toFixed(1)} tokens/s · {(hitRate * 100).toFixed(0)} % expert hits{end}
    </p>
  );
}
