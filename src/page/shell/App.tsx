import { useEffect, useState } from 'preact/hooks';
import { ErrorBoundary } from '../../ui/ErrorBoundary.tsx';
import { IconButton } from '../../ui/IconButton.tsx';
import { Icon } from '../../ui/icons.tsx';
import { ChatView } from '../chat/ChatView.tsx';
import { ExpertsPage, ExpertsPanel } from '../experts/lazy.tsx';
import { LibraryPage } from '../library/LibraryPage.tsx';
import { MeasurePage } from '../measure/lazy.tsx';
import { services } from '../services/services.ts';
import { SettingsDialog } from '../settings/SettingsDialog.tsx';
import { Sidebar } from '../sidebar/Sidebar.tsx';
import { COMPUTE_NAME, computeStatus } from '../state/compute.ts';
import { current, openConversation } from '../state/conversations.ts';
import { panelOpen, togglePanel } from '../state/experts-panel.ts';
import { loaded, loading } from '../state/models.ts';
import { announcement } from '../state/notices.ts';
import { showView, view } from '../state/route.ts';
import { Notices } from './Notices.tsx';

/** Up to this width the sidebar is a drawer on top of the page. layout.css has the same value. */
const NARROW = matchMedia('(max-width: 56rem)');
/** From this width on the experts panel fits beside a conversation. */
const WIDE = matchMedia('(min-width: 72rem)');

/** The whole page: sidebar, the view that the address names, dialogs and announcements. */
export function App() {
  const [settingsOpen, setSettingsOpen] = useState(false);
  const narrow = useMedia(NARROW);
  const wide = useMedia(WIDE);
  const [sidebar, setSidebar] = useState(!narrow);
  const dropping = useDrop();
  useEffect(() => setSidebar(!narrow), [narrow, narrow && view.value]);
  useShortcuts();
  const drawer = sidebar && narrow;
  const hide = (): void => {
    setSidebar(false);
    // Focus the button that opens it again, which is rendered after this.
    setTimeout(() => document.querySelector<HTMLElement>('.bar .icon-button')?.focus());
  };
  const title = { chat: current.value?.title, models: 'Models', experts: 'Experts', measure: 'Measure this GPU' }[
    view.value
  ];
  useEffect(() => {
    document.title = title ? `${title} · mixtab` : 'mixtab';
  }, [title]);
  return (
    <div class={`app${dropping ? ' dropping' : ''}`}>
      <button type="button" class="skip" onClick={() => document.getElementById('main')?.focus()}>
        Skip to content
      </button>
      {sidebar && (
        <Sidebar
          drawer={drawer}
          onClose={hide}
          onSettings={() => {
            setSettingsOpen(true);
            if (drawer) setSidebar(false);
          }}
        />
      )}
      {drawer && <button type="button" class="backdrop" tabIndex={-1} aria-label="Close sidebar" onClick={hide} />}
      <div class="page" inert={drawer}>
        <Bar sidebar={sidebar} wide={wide} onSidebar={() => setSidebar(true)} />
        <ErrorBoundary key={view.value} fallback={<BrokenView />}>
          {view.value === 'models' ? (
            <LibraryPage notices={<Notices />} />
          ) : view.value === 'experts' ? (
            <ExpertsPage notices={<Notices />} />
          ) : view.value === 'measure' ? (
            <MeasurePage notices={<Notices />} />
          ) : (
            <ChatView notices={<Notices />} />
          )}
        </ErrorBoundary>
      </div>
      {wide && panelOpen.value && view.value === 'chat' && <ExpertsPanel />}
      {settingsOpen && <SettingsDialog onClose={() => setSettingsOpen(false)} />}
      {dropping && <div class="drop">Drop GGUF files here to import them</div>}
      <div class="visually-hidden" role="status">
        {announcement.value}
      </div>
    </div>
  );
}

/** In place of a view that cannot be shown. Its notices may be why. */
const BrokenView = () => (
  <main class="scroll" id="main" tabIndex={-1}>
    <div class="column">
      <ErrorBoundary fallback={null}>
        <Notices />
      </ErrorBoundary>
      <div class="notice problem" role="alert">
        <p>
          <strong>This view cannot be shown.</strong> Your conversations are stored. Open another one, or reload the
          page.
        </p>
        <button type="button" class="primary" onClick={() => location.reload()}>
          Reload the page
        </button>
      </div>
    </div>
  </main>
);

function Bar({ sidebar, wide, onSidebar }: { sidebar: boolean; wide: boolean; onSidebar: () => void }) {
  return (
    <header class="bar">
      {!sidebar && <IconButton icon="menu" label="Show sidebar" onClick={onSidebar} />}
      {view.value !== 'chat' ? (
        <button type="button" class="quiet" onClick={() => showView('chat')}>
          ← Back to chat
        </button>
      ) : (
        <ModelButton />
      )}
      <span class="spacer" />
      {view.value === 'chat' && (
        <button
          type="button"
          class="quiet"
          aria-label="Experts"
          title="Expert activity"
          {...(wide && { 'aria-expanded': panelOpen.value })}
          onClick={() => (wide ? togglePanel() : showView('experts'))}
        >
          <Icon name="grid" /> <span class="wide-only">Experts</span>
        </button>
      )}
      {!sidebar && view.value === 'chat' && (
        <IconButton icon="plus" label="New conversation" onClick={() => openConversation(undefined)} />
      )}
    </header>
  );
}

/** The loaded model and what computes it. Opens the models page. */
function ModelButton() {
  const model = loaded.value;
  return (
    <button
      type="button"
      class="model-button"
      title={model ? `Models. ${computeStatus.value}.` : 'Models'}
      onClick={() => showView('models')}
    >
      <span>{model?.summary.name ?? loading.value?.name ?? 'Choose a model'}</span>
      {model && (
        <small>
          {model.summary.hasChatTemplate ? 'chat' : 'base model'} · {COMPUTE_NAME[model.compute.kind]}
        </small>
      )}
    </button>
  );
}

function useMedia(query: MediaQueryList): boolean {
  const [matches, setMatches] = useState(query.matches);
  useEffect(() => {
    const onChange = (): void => setMatches(query.matches);
    query.addEventListener('change', onChange);
    return () => query.removeEventListener('change', onChange);
  }, [query]);
  return matches;
}

/** Ctrl+Shift+O starts a conversation, as in other chat apps. */
function useShortcuts(): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (!(event.ctrlKey || event.metaKey) || !event.shiftKey || event.key.toLowerCase() !== 'o') return;
      event.preventDefault();
      openConversation(undefined);
      showView('chat');
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);
}

/** Imports files that are dropped on the page. @returns whether files are being dragged over it */
function useDrop(): boolean {
  const [over, setOver] = useState(false);
  useEffect(() => {
    const hasFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes('Files') ?? false;
    const onOver = (event: DragEvent): void => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      setOver(true);
    };
    const onLeave = (event: DragEvent): void => {
      if (event.relatedTarget === null) setOver(false);
    };
    const onDrop = (event: DragEvent): void => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      setOver(false);
      services.importPlanner.planFiles([...(event.dataTransfer?.files ?? [])]);
    };
    addEventListener('dragover', onOver);
    addEventListener('dragleave', onLeave);
    addEventListener('drop', onDrop);
    return () => {
      removeEventListener('dragover', onOver);
      removeEventListener('dragleave', onLeave);
      removeEventListener('drop', onDrop);
    };
  }, []);
  return over;
}
