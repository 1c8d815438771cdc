import type { ComponentChildren } from 'preact';
import { Icon } from '../../ui/icons.tsx';
import { loadModel } from '../services/models.ts';
import { current, currentId, currentPath } from '../state/conversations.ts';
import { showView } from '../state/route.ts';
import { gpuProblem, isChat, loaded, models, overflow, prefill, wrongModel } from '../state/state.ts';
import { Composer } from './Composer.tsx';
import { OverflowNotice } from './Overflow.tsx';
import { Story } from './Story.tsx';
import { useStickToEnd } from './stick-to-bottom.ts';
import { Thread } from './Thread.tsx';
import { Welcome } from './Welcome.tsx';

/** The conversation, what goes on, and where the user writes. */
export function ChatView({ notices }: { notices: ComponentChildren }) {
  const { scroller, content, atEnd, toEnd } = useStickToEnd(currentId.value);
  const empty = currentPath.value.length === 0;
  const reading = prefill.value;
  return (
    <>
      <main ref={scroller} class="scroll" id="main" tabIndex={-1}>
        <div ref={content} class={empty ? 'column empty' : 'column'}>
          {!empty && <h1 class="visually-hidden">{current.value?.title}</h1>}
          {empty ? <Welcome /> : isChat.value ? <Thread /> : <Story />}
          {reading && reading.done < reading.total && (
            <p class="hint">
              Reading the prompt: {reading.done} of {reading.total} tokens
            </p>
          )}
        </div>
      </main>
      <section class="foot" aria-label="Writing">
        {!atEnd && (
          <button type="button" class="to-end" aria-label="To the end" title="To the end" onClick={toEnd}>
            <Icon name="down" />
          </button>
        )}
        <div class="column">
          {overflow.value && overflow.value.conversationId === currentId.value && <OverflowNotice />}
          <ModelNotice />
          {notices}
          <Composer conversationId={currentId.value ?? ''} />
        </div>
      </section>
    </>
  );
}

/** Says where the conversation was written with another model than the one in use. */
function ModelNotice() {
  const conversation = current.value;
  const inUse = loaded.value?.summary;
  const other = conversation?.modelId !== undefined && conversation.modelId !== inUse?.id;
  if (!conversation || !inUse || gpuProblem.value || !(other || wrongModel.value)) return null;
  const stored = models.value.find(({ id, state }) => id === conversation.modelId && state === 'complete');
  return (
    <div class="notice quiet-notice">
      <p>
        {wrongModel.value
          ? `${inUse.name} only continues text, so it cannot answer in this chat. `
          : `Written with ${conversation.modelName}; ${inUse.name} goes on. `}
        {!stored && wrongModel.value && conversation.modelName && `${conversation.modelName} is not stored here.`}
      </p>
      <div class="row">
        {stored && (
          <button type="button" onClick={() => void loadModel(stored)}>
            Use {stored.name}
          </button>
        )}
        {wrongModel.value && !stored && (
          <button type="button" onClick={() => showView('models')}>
            Choose a model
          </button>
        )}
      </div>
    </div>
  );
}
