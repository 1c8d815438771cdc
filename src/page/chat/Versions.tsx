import { IconButton } from '../../ui/IconButton.tsx';
import { choose, type Turn, versionsOf } from '../state/conversation-tree.ts';
import { current, updateConversation } from '../state/conversations.ts';
import { streamingHere } from '../state/generation.ts';

/** Switches between the versions of a turn. Renders nothing if there is only one. */
export function Versions({ turn }: { turn: Turn }) {
  if (!current.value) return null;
  const { versions, index } = versionsOf(current.value, turn.id);
  if (versions.length < 2) return null;
  const show = (step: number): void => {
    updateConversation(current.value!.id, (conversation) => choose(conversation, versions[index + step].id));
  };
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset cannot be inline
    <span class="versions" role="group" aria-label="Versions">
      <IconButton
        icon="left"
        label="Previous version"
        disabled={index === 0 || streamingHere.value}
        onClick={() => show(-1)}
      />
      <span class="count">
        {index + 1} / {versions.length}
      </span>
      <IconButton
        icon="right"
        label="Next version"
        disabled={index === versions.length - 1 || streamingHere.value}
        onClick={() => show(1)}
      />
    </span>
  );
}
