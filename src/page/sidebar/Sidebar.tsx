import { useEffect, useRef, useState } from 'preact/hooks';
import { IconButton } from '../../ui/IconButton.tsx';
import { Icon } from '../../ui/icons.tsx';
import { exportAll, importConversations } from '../services/conversation-files.ts';
import { conversations, currentId, openConversation } from '../state/conversations.ts';
import { showView, view } from '../state/route.ts';
import { ConversationItem } from './ConversationItem.tsx';
import { groupByAge, search } from './conversation-search.ts';

interface Props {
  /** On a narrow page the sidebar is a drawer on top of the page. */
  drawer: boolean;
  onClose: () => void;
  onSettings: () => void;
}

/** The list of conversations, and links to the other views. */
export function Sidebar({ drawer, onClose, onSettings }: Props) {
  const [query, setQuery] = useState('');
  const newConversation = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (drawer) newConversation.current?.focus();
  }, [drawer]);
  /** Called after every click on an entry, even if the page does not change. */
  const closeDrawer = (): void => {
    if (drawer) onClose();
  };
  const open = (id: string | undefined): void => {
    openConversation(id);
    showView('chat');
    closeDrawer();
  };
  return (
    <nav
      class="sidebar"
      aria-label="Conversations"
      onKeyDown={(event) => {
        if (event.key === 'Escape') closeDrawer();
      }}
      onClick={(event) => {
        if ((event.target as Element).closest('a')) closeDrawer();
      }}
    >
      <div class="sidebar-head">
        <span class="brand">
          <img src="./icon.svg" alt="" width="24" height="24" /> mixtab
        </span>
        <IconButton icon="menu" label="Hide sidebar" onClick={onClose} />
      </div>
      <button ref={newConversation} type="button" class="new" onClick={() => open(undefined)}>
        <Icon name="plus" /> New conversation
      </button>
      <SearchField query={query} onChange={setQuery} />
      <ConversationList query={query} onOpen={open} />
      <div class="sidebar-links">
        <a href="#models" aria-current={view.value === 'models' ? 'page' : undefined}>
          <Icon name="cube" /> Models
        </a>
        <a href="#experts" aria-current={view.value === 'experts' ? 'page' : undefined}>
          <Icon name="grid" /> Experts
        </a>
        <button type="button" aria-haspopup="dialog" onClick={onSettings}>
          <Icon name="settings" /> Settings
        </button>
        <ConversationFiles onImport={closeDrawer} />
      </div>
    </nav>
  );
}

function SearchField({ query, onChange }: { query: string; onChange: (query: string) => void }) {
  return (
    <label class="search">
      <Icon name="search" />
      <input
        type="search"
        placeholder="Search"
        aria-label="Search conversations"
        value={query}
        onInput={(event) => onChange(event.currentTarget.value)}
      />
    </label>
  );
}

/** Buttons that import conversations from files and export all of them. */
function ConversationFiles({ onImport }: { onImport: () => void }) {
  const chooser = useRef<HTMLInputElement>(null);
  return (
    <>
      <div class="row">
        <button type="button" class="small" onClick={() => chooser.current?.click()}>
          Import chats
        </button>
        <button type="button" class="small" disabled={conversations.value.length === 0} onClick={exportAll}>
          Export all
        </button>
      </div>
      <input
        ref={chooser}
        type="file"
        accept=".json,.md"
        multiple
        hidden
        aria-label="Conversations to import"
        onChange={(event) => {
          void importConversations([...(event.currentTarget.files ?? [])]);
          event.currentTarget.value = '';
          onImport();
        }}
      />
    </>
  );
}

function ConversationList({ query, onOpen }: { query: string; onOpen: (id: string) => void }) {
  const results = search(conversations.value, query);
  if (results.length === 0) {
    return (
      <p class="sidebar-list hint">
        {query.trim() ? 'No results.' : 'Your conversations appear here. They stay on this device.'}
      </p>
    );
  }
  return (
    <div class="sidebar-list">
      {groupByAge(results, Date.now()).map(({ age, results: group }) => (
        <section key={age}>
          <h2>{age}</h2>
          <ul aria-label={age}>
            {group.map(({ conversation, snippet }) => (
              <ConversationItem
                key={conversation.id}
                conversation={conversation}
                {...(snippet && { snippet })}
                shown={conversation.id === currentId.value && view.value === 'chat'}
                onOpen={() => onOpen(conversation.id)}
              />
            ))}
          </ul>
        </section>
      ))}
    </div>
  );
}
