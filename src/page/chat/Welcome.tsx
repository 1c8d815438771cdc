import { send } from '../services/answers.ts';
import { isBuiltin } from '../services/models.ts';
import { canSend, isChat, loaded } from '../state/state.ts';

/** Beginnings in the manner of the books that the built-in story-teller has read. */
const OPENINGS = [
  { text: 'Once upon a time', about: 'A tale' },
  { text: '"Where have you been?" she asked', about: 'A talk' },
  { text: 'It was a dark night, and the old house', about: 'Something eerie' },
  { text: 'The captain looked at the sea and said', about: 'A voyage' },
];

/** What an empty conversation shows: what this model is good for. */
export function Welcome() {
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
  const builtin = isBuiltin(summary);
  return (
    <section class="welcome">
      <h1>{builtin ? 'Begin a story' : `Begin a text for ${summary.name}`}</h1>
      {builtin ? (
        <p>
          This is <strong>{summary.name}</strong>, a very small mixture of experts that has read old novels. It has no
          chat template: it is a text completer. It answers no questions and knows no facts; it goes on with what you
          begin. It runs in this tab, and nothing leaves your machine.
        </p>
      ) : (
        <p>
          <strong>{summary.name}</strong> has no chat template: it is a text completer. It does not answer questions, it
          continues what you write. It runs in this tab, and nothing leaves your machine.
        </p>
      )}
      <div class="openings">
        {OPENINGS.map(({ text, about }) => (
          <button type="button" key={text} disabled={!canSend.value} onClick={() => void send(text)}>
            <small>{about}</small> {text} …
          </button>
        ))}
      </div>
      {builtin && (
        <p class="hint">
          To talk with a model that answers, <a href="#models">get a Mixtral</a>.
        </p>
      )}
    </section>
  );
}
