import { largerContext, leaveOutOldest, raiseContext } from '../services/context-overflow.ts';
import { openConversation } from '../state/conversations.ts';
import { isChat, overflow } from '../state/state.ts';

/** The prompt is more than the context holds: what the user can do. Nothing is left out unasked. */
export function OverflowNotice() {
  return (
    <div class="notice problem" role="alert">
      <p>
        <strong>
          This {isChat.value ? 'conversation' : 'text'} is longer than the {overflow.value?.context} tokens that the
          model can see.
        </strong>{' '}
        Nothing was sent. What shall happen?
      </p>
      <OverflowChoices />
    </div>
  );
}

export function OverflowChoices() {
  const larger = largerContext();
  return (
    <div class="row">
      <button type="button" onClick={() => void leaveOutOldest()}>
        {isChat.value ? 'Leave out the oldest messages' : 'Go on from the last part only'}
      </button>
      {larger !== undefined && (
        <button type="button" onClick={() => void raiseContext()}>
          Raise the context to {larger} tokens
        </button>
      )}
      <button type="button" onClick={() => openConversation(undefined)}>
        Begin a new one
      </button>
    </div>
  );
}
