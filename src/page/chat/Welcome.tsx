import { isBuiltin } from '../services/builtin-model.ts';
import { services } from '../services/services.ts';
import { canSend, isChat } from '../state/generation.ts';
import { loaded } from '../state/models.ts';

/** Openings in the style of the novels that the built-in storyteller was trained on. */
const OPENINGS = [
  { text: 'Once upon a time', about: 'A fairy tale' },
  { text: '"Where have you been?" she asked', about: 'A dialogue' },
  { text: 'It was a dark night, and the old house', about: 'Something eerie' },
  { text: 'The captain looked at the sea and said', about: 'A sea voyage' },
];

/** The start screen: what the loaded model can do. Empty until a model is loaded. */
export function Welcome() {
  if (!loaded.value) return null;
  return isChat.value ? <ChatWelcome name={loaded.value.summary.name} /> : <StoryWelcome />;
}

const ChatWelcome = ({ name }: { name: string }) => (
  <section class="welcome">
    <h1>Ask {name}</h1>
    <p>It runs in this tab, and nothing you write leaves your device.</p>
  </section>
);

function StoryWelcome() {
  const { summary } = loaded.value!;
  const builtin = isBuiltin(summary);
  return (
    <section class="welcome">
      <h1>{builtin ? 'Start a story' : `Write with ${summary.name}`}</h1>
      <p>
        <strong>{summary.name}</strong>{' '}
        {builtin ? 'is a very small mixture-of-experts model trained on old novels. It is ' : 'is '}a base model: it
        continues what you write and does not answer questions. It runs in this tab, and nothing leaves your device.
      </p>
      <div class="openings">
        {OPENINGS.map(({ text, about }) => (
          <button type="button" key={text} disabled={!canSend.value} onClick={() => void services.answers.send(text)}>
            <small>{about}</small> {text} …
          </button>
        ))}
      </div>
      {builtin && (
        <p class="hint">
          Looking for a model that answers questions? <a href="#models">Get Mixtral</a>.
        </p>
      )}
    </section>
  );
}
