import { useState } from 'preact/hooks';
import { CopyButton } from '../../ui/CopyButton.tsx';
import { IconButton } from '../../ui/IconButton.tsx';
import { services } from '../services/services.ts';
import { textFor } from '../state/context-window.ts';
import { type Turn, textOf, versionsOf } from '../state/conversation-tree.ts';
import { current, currentId, currentPath, streaming } from '../state/conversations.ts';
import { draftOf, saveDraft } from '../state/drafts.ts';
import { canSend, streamingHere } from '../state/generation.ts';
import { Dots, Stats } from './AnswerStats.tsx';
import { AnswerTokens, TokensButton } from './AnswerTokens.tsx';
import { ContextCut, EarlierMissing, OverflowChoices, RestMissing } from './Overflow.tsx';
import { Versions } from './Versions.tsx';

/** One text that the user and a base model write together. The model's parts are highlighted. */
export function Story() {
  const editKey = `edit/${currentId.value}`;
  const [editing, setEditing] = useState(draftOf(editKey) !== '');
  const path = currentPath.value;
  const last = path.at(-1);
  const streamed = streaming.value;
  const [tokens, setTokens] = useState(false);
  if (editing && !streamingHere.value)
    return <TextEditor path={path} editKey={editKey} onDone={() => setEditing(false)} />;
  return (
    <article class="story" aria-label="Text" aria-busy={streamingHere.value}>
      <AnswerTokens texts={tokens && !streamingHere.value && current.value ? [textFor(current.value, '')] : undefined}>
        <div class="plain">
          {path.map((turn) => (
            <Part key={turn.id} turn={turn} text={streamed?.turnId === turn.id ? streamed.text : turn.text} />
          ))}
          {streamingHere.value && <Dots />}
        </div>
      </AnswerTokens>
      {!streamingHere.value && last && (
        <StoryFooter
          path={path}
          last={last}
          onEdit={() => setEditing(true)}
          tokens={tokens}
          onTokens={() => setTokens(!tokens)}
        />
      )}
    </article>
  );
}

interface StoryFooterProps {
  path: readonly Turn[];
  last: Turn;
  onEdit: () => void;
  /** Whether the text is shown as tokens. */
  tokens: boolean;
  onTokens: () => void;
}

function StoryFooter({ path, last, onEdit, tokens, onTokens }: StoryFooterProps) {
  return (
    <footer>
      {last.stats?.contextFull && (
        <div class="notice">
          <p>The model's context is full, so it can no longer see the whole text.</p>
          <OverflowChoices />
        </div>
      )}
      <div class="actions">
        <StoryVersions path={path} />
        <CopyButton text={() => textOf(currentPath.value)} label="Copy text" />
        <IconButton icon="edit" label="Edit text" onClick={onEdit} />
        {last.by === 'model' && (
          <IconButton
            icon="regenerate"
            label="Regenerate"
            disabled={!canSend.value}
            onClick={() => void services.answers.regenerate(last)}
          />
        )}
        <TokensButton shown={tokens} onClick={onTokens} />
        {last.stats && <Stats stats={last.stats} />}
      </div>
    </footer>
  );
}

interface TextEditorProps {
  path: readonly Turn[];
  /** Names the draft, which survives a reload. */
  editKey: string;
  onDone: () => void;
}

function TextEditor({ path, editKey, onDone: close }: TextEditorProps) {
  const onDone = (): void => {
    saveDraft(editKey, '');
    close();
  };
  return (
    <form
      class="editor"
      onSubmit={(event) => {
        event.preventDefault();
        services.answers.editText(new FormData(event.currentTarget).get('text') as string);
        onDone();
      }}
    >
      <textarea
        name="text"
        aria-label="The whole text"
        rows={14}
        defaultValue={draftOf(editKey) || textOf(path)}
        onInput={(event) => saveDraft(editKey, event.currentTarget.value)}
      />
      <div class="row">
        <button type="button" class="quiet" onClick={onDone}>
          Cancel
        </button>
        <button type="submit" class="primary">
          Save
        </button>
      </div>
    </form>
  );
}

/** Switches between the versions of the last turn that has several. */
function StoryVersions({ path }: { path: readonly Turn[] }) {
  const conversation = current.value;
  const fork = conversation && path.findLast(({ id }) => versionsOf(conversation, id).versions.length > 1);
  return fork ? <Versions turn={fork} /> : null;
}

interface PartProps {
  turn: Turn;
  text: string;
}

/** The text of one turn, with marks if earlier ones are missing, or the rest of its own text. */
const Part = (part: PartProps) => (
  <>
    {part.turn.missingBefore && <EarlierMissing count={part.turn.missingBefore.count} kind="text" />}
    <PartText {...part} />
    {part.turn.isCut && <RestMissing />}
  </>
);

/** The text of one turn, with a mark inside if the model's context begins there. */
function PartText({ turn, text }: PartProps) {
  const seenFrom = current.value?.seenFrom;
  if (seenFrom?.turn !== turn.id || (seenFrom.offset === 0 && turn.parent === null))
    return <span class={`by-${turn.by}`}>{text}</span>;
  return (
    <>
      <span class={`by-${turn.by}`}>{text.slice(0, seenFrom.offset)}</span>
      <ContextCut />
      <span class={`by-${turn.by}`}>{text.slice(seenFrom.offset)}</span>
    </>
  );
}
