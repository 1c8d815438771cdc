import type { ComponentChildren } from 'preact';
import { Icon } from '../../ui/icons.tsx';
import { services } from '../services/services.ts';
import { current, currentId, currentPath } from '../state/conversations.ts';
import { isChat, overflow, prefill, wrongModel } from '../state/generation.ts';
import { loaded, models } from '../state/models.ts';
import { showView } from '../state/route.ts';
import { Composer } from './Composer.tsx';
import { OverflowNotice } from './Overflow.tsx';
import { Story } from './Story.tsx';
import { useStickToBottom } from './stick-to-bottom.ts';
import { Thread } from './Thread.tsx';
import { Welcome } from './Welcome.tsx';

/** The open conversation or the start screen, with notices and the composer below it. */
export function ChatView({ notices }: { notices: ComponentChildren }) {
  const empty = currentPath.value.length === 0;
  const { scroller, content, atBottom, scrollToBottom } = useStickToBottom({ key: currentId.value, enabled: !empty });
  const reading = prefill.value;
  return (
    <>
      <main ref={scroller} class="scroll" id="main" tabIndex={-1}>
        <div ref={content} class={empty ? 'column empty' : 'column'}>
          {!empty && <h1 class="visually-hidden">{current.value?.title}</h1>}
          {empty ? <Welcome /> : isChat.value ? <Thread key={currentId.value} /> : <Story />}
          {reading && reading.done < reading.total && (
            <p class="hint">
              Reading the prompt: {reading.done} of {reading.total} tokens
            </p>
          )}
        </div>
      </main>
      <section class="composer-area" aria-label="Composer">
        {!atBottom && (
          <button
            type="button"
            class="scroll-to-bottom"
            aria-label="Scroll to bottom"
            title="Scroll to bottom"
            onClick={scrollToBottom}
          >
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

/** Shown if the conversation was written with another model, or if the loaded model cannot continue it. */
function ModelNotice() {
  const conversation = current.value;
  const loadedModel = loaded.value?.summary;
  const writtenWithAnother = conversation?.modelId !== undefined && conversation.modelId !== loadedModel?.id;
  if (!conversation || !loadedModel || !(writtenWithAnother || wrongModel.value)) return null;
  const stored = models.value.find(({ id, state }) => id === conversation.modelId && state === 'complete');
  return (
    <div class="notice minor">
      <p>
        {wrongModel.value
          ? `${loadedModel.name} is a base model, so it cannot answer in this chat. `
          : `This conversation was written with ${conversation.modelName}. ${loadedModel.name} will continue it. `}
        {!stored &&
          wrongModel.value &&
          conversation.modelName &&
          `${conversation.modelName} is no longer on this device.`}
      </p>
      <div class="row">
        {stored && (
          <button type="button" onClick={() => void services.modelLoader.load(stored)}>
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
