import type { ComponentChildren } from 'preact';
import { IconButton } from '../../ui/IconButton.tsx';
import { togglePanel } from '../state/experts-panel.ts';
import { part } from '../state/route.ts';
import { loaded, loading } from '../state/state.ts';
import { Laboratory } from './Laboratory.tsx';
import { LiveExperts } from './LiveExperts.tsx';
import { RoutingView } from './RoutingView.tsx';
import '../../ui/css/experts.css';

/** Part of the address, name, contents. */
const PARTS = [
  ['', 'Now', LiveExperts],
  ['routing', 'Routing', RoutingView],
  ['laboratory', 'Laboratory', Laboratory],
] as const;

/** What the experts do: live, for a text, and with the router changed. */
export function ExpertsPage({ notices }: { notices: ComponentChildren }) {
  const [shown, , Contents] = PARTS.find(([name]) => name === part.value) ?? PARTS[0];
  return (
    <main class="scroll experts" id="main" tabIndex={-1}>
      <div class="column wide">
        <h1>Experts</h1>
        <nav class="parts" aria-label="Experts">
          {PARTS.map(([name, label]) => (
            <a
              key={name}
              href={name ? `#experts/${name}` : '#experts'}
              aria-current={name === shown ? 'page' : undefined}
            >
              {label}
            </a>
          ))}
        </nav>
        {notices}
        {loaded.value ? <Contents /> : <NoModel />}
      </div>
    </main>
  );
}

/** The live part, beside a conversation. */
export function ExpertsPanel() {
  const hide = (): void => {
    togglePanel();
    document.querySelector<HTMLElement>('.bar [aria-expanded]')?.focus(); // where it can be opened again
  };
  return (
    <aside class="experts-panel experts" aria-label="What the experts do">
      <header>
        <h2>Experts</h2>
        <IconButton icon="close" label="Hide the experts" onClick={hide} />
      </header>
      {loaded.value ? <LiveExperts /> : <NoModel />}
      <p class="hint">
        More: <a href="#experts/routing">which expert takes which word</a>,{' '}
        <a href="#experts/laboratory">the laboratory</a>
      </p>
    </aside>
  );
}

const NoModel = () => (
  <p class="hint">
    {loading.value ? 'The model is being loaded.' : 'No model is loaded.'}{' '}
    {!loading.value && <a href="#models">Choose one</a>}
  </p>
);
