import { useState } from 'preact/hooks';
import { CopyButton } from '../../ui/CopyButton.tsx';
import { IconButton } from '../../ui/IconButton.tsx';
import { editText, regenerate } from '../services/answers.ts';
import { type Turn, textOf, versionsOf } from '../state/conversation-tree.ts';
import { current, currentPath, streaming } from '../state/conversations.ts';
import { canSend, streamingHere } from '../state/state.ts';
import { Dots, Stats } from './AnswerStats.tsx';
import { OverflowChoices } from './Overflow.tsx';
import { CutMark, Versions } from './Thread.tsx';

/** One text, written by the user and the model together; the model's part stands out. */
export function Story() {
  const [editing, setEditing] = useState(false);
  const path = currentPath.value;
  const last = path.at(-1);
  const now = streaming.value;
  if (editing && !streamingHere.value) {
    return (
      <form
        class="editor"
        onSubmit={(event) => {
          event.preventDefault();
          editText(new FormData(event.currentTarget).get('text') as string);
          setEditing(false);
        }}
      >
        <textarea name="text" aria-label="The whole text" rows={14} defaultValue={textOf(path)} />
        <div class="row">
          <button type="button" class="quiet" onClick={() => setEditing(false)}>
            Cancel
          </button>
          <button type="submit" class="primary">
            Done
          </button>
        </div>
      </form>
    );
  }
  return (
    <article class="story" aria-label="Text" aria-busy={streamingHere.value}>
      <div class="plain">
        {path.map((turn) => (
          <Stretch key={turn.id} turn={turn} text={now?.turnId === turn.id ? now.text : turn.text} />
        ))}
        {streamingHere.value && <Dots />}
      </div>
      {!streamingHere.value && last && (
        <footer>
          {last.stats?.contextFull && (
            <div class="notice">
              <p>The model's context is full: it cannot see the whole text any more.</p>
              <OverflowChoices />
            </div>
          )}
          <div class="actions">
            <StoryVersions path={path} />
            <CopyButton text={() => textOf(currentPath.value)} label="Copy text" />
            <IconButton icon="edit" label="Edit text" onClick={() => setEditing(true)} />
            {last.by === 'model' && (
              <IconButton
                icon="again"
                label="Another continuation"
                disabled={!canSend.value}
                onClick={() => void regenerate(last)}
              />
            )}
            {last.stats && <Stats stats={last.stats} />}
          </div>
        </footer>
      )}
    </article>
  );
}

/** Switches between the versions of the last fork of the text. */
function StoryVersions({ path }: { path: readonly Turn[] }) {
  const conversation = current.value;
  const fork = conversation && path.findLast(({ id }) => versionsOf(conversation, id).versions.length > 1);
  return fork ? <Versions turn={fork} /> : null;
}

function Stretch({ turn, text }: { turn: Turn; text: string }) {
  const from = current.value?.seenFrom;
  if (from?.turn !== turn.id || (from.offset === 0 && turn.parent === null))
    return <span class={`by-${turn.by}`}>{text}</span>;
  return (
    <>
      <span class={`by-${turn.by}`}>{text.slice(0, from.offset)}</span>
      <CutMark />
      <span class={`by-${turn.by}`}>{text.slice(from.offset)}</span>
    </>
  );
}
