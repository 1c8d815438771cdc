import { largerContext } from '../services/context-overflow.ts';
import { services } from '../services/services.ts';
import type { Conversation } from '../state/conversation-tree.ts';
import { current, openConversation, updateConversation } from '../state/conversations.ts';
import { isChat, overflow } from '../state/generation.ts';

/** The prompt does not fit in the context. Nothing is left out until the user picks an option. */
export function OverflowNotice() {
  return (
    <div class="notice problem" role="alert">
      <p>
        <strong>
          This {isChat.value ? 'conversation' : 'text'} is longer than the model's context of {overflow.value?.context}{' '}
          tokens.
        </strong>{' '}
        Nothing was sent. How do you want to continue?
      </p>
      <OverflowChoices />
    </div>
  );
}

/** Buttons for the ways to continue when the context is full. */
export function OverflowChoices() {
  const larger = largerContext();
  return (
    <div class="row">
      <button type="button" onClick={() => void services.contextOverflow.leaveOutOldest()}>
        {isChat.value ? 'Leave out the oldest messages' : 'Continue from the last part'}
      </button>
      {larger !== undefined && (
        <button type="button" onClick={() => void services.contextOverflow.raiseContext()}>
          Increase the context to {larger} tokens
        </button>
      )}
      <button type="button" onClick={() => openConversation(undefined)}>
        Start a new one
      </button>
    </div>
  );
}

/** Marks the point above which a copy, from which the conversation was restored, had no more space. */
export function EarlierMissing({ count, kind }: { count: number; kind: Conversation['kind'] }) {
  const what = kind === 'chat' ? 'message' : 'part';
  return (
    <p class="context-cut" role="note">
      <span>
        {count === 1 ? `1 earlier ${what} is` : `${count} earlier ${what}s are`} missing here. The browser deleted what
        this page had stored, and there was no space for {count === 1 ? 'it' : 'them'} in the copy.
      </span>
    </p>
  );
}

/** Marks the end of a text of which the copy, from which the conversation was restored, had only the beginning. */
export const RestMissing = () => (
  <p class="context-cut" role="note">
    <span>
      The rest of this text is missing. The browser deleted what this page had stored, and there was no space for it in
      the copy.
    </span>
  </p>
);

/** Marks the point above which the user left text out of the model's context, and can undo that. */
export function ContextCut() {
  const undo = (): void => {
    if (current.value)
      updateConversation(current.value.id, (conversation) => ({ ...conversation, seenFrom: undefined }));
  };
  return (
    <p class="context-cut" role="note">
      <span>The model no longer sees the text above.</span>
      <button type="button" class="quiet" onClick={undo}>
        Include it again
      </button>
    </p>
  );
}
