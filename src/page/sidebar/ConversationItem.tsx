import { useRef, useState } from 'preact/hooks';
import { Menu } from '../../ui/Menu.tsx';
import { exportConversation } from '../services/conversation-files.ts';
import type { Conversation } from '../state/conversation-tree.ts';
import { removeConversation, renameConversation, streamingIn } from '../state/conversations.ts';

interface Props {
  conversation: Conversation;
  /** Text around the search match. */
  snippet?: string;
  /** This is the open conversation. */
  shown: boolean;
  onOpen: () => void;
}

/** One conversation in the list, with its menu. A double click renames it. */
export function ConversationItem({ conversation, snippet, shown, onOpen }: Props) {
  const [renaming, setRenaming] = useState(false);
  const title = conversation.title || 'Untitled';
  if (renaming) return <RenameForm conversation={conversation} onDone={() => setRenaming(false)} />;
  return (
    <li class="item">
      <button
        type="button"
        class="open"
        aria-current={shown ? 'page' : undefined}
        title={title}
        onClick={onOpen}
        onDblClick={() => setRenaming(true)}
      >
        <span>{title}</span>
        {snippet && <small>{snippet}</small>}
        {streamingIn.value === conversation.id && <span class="live" role="img" aria-label="generating" />}
      </button>
      <Menu
        label={`More options for ${title}`}
        items={[
          { label: 'Rename', icon: 'edit', run: () => setRenaming(true) },
          { label: 'Export as Markdown', icon: 'file', run: () => exportConversation(conversation, 'md') },
          { label: 'Export as JSON', icon: 'file', run: () => exportConversation(conversation, 'json') },
          { label: 'Delete', icon: 'trash', danger: true, run: () => removeConversation(conversation.id) },
        ]}
      />
    </li>
  );
}

/** A text field in place of the title. Enter or leaving the field saves, Escape cancels. */
function RenameForm({ conversation, onDone }: { conversation: Conversation; onDone: () => void }) {
  const cancelled = useRef(false);
  return (
    <li class="item">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          (document.activeElement as HTMLElement | null)?.blur();
        }}
      >
        <input
          aria-label="Title"
          defaultValue={conversation.title}
          ref={(field) => {
            if (field && field !== document.activeElement) field.select();
          }}
          onBlur={(event) => {
            if (!cancelled.current) renameConversation(conversation.id, event.currentTarget.value);
            onDone();
          }}
          onKeyDown={(event) => {
            if (event.key !== 'Escape') return;
            event.stopPropagation();
            cancelled.current = true;
            onDone();
          }}
        />
      </form>
    </li>
  );
}
