import type { ComponentChildren } from 'preact';
import { IconButton } from '../../ui/IconButton.tsx';
import { togglePanel } from '../state/experts-panel.ts';
import { part, tabAddress } from '../state/route.ts';
import { ContextView } from './context/ContextView.tsx';
import { CountsView } from './counts/CountsView.tsx';
import { LiveExperts } from './LiveExperts.tsx';
import { LaboratoryView } from './laboratory/LaboratoryView.tsx';
import { RoutingView } from './RoutingView.tsx';
import { TextsView } from './texts/TextsView.tsx';
import '../../ui/css/experts.css';
import '../../ui/css/laboratory.css';
import '../../ui/css/figures.css';
import { loaded, loading } from '../state/models.ts';

/** The tabs: their part of the address, their name and their contents. */
const TABS = [
  ['', 'Live', LiveExperts],
  ['routing', 'Routing', RoutingView],
  ['context', 'Context', ContextView],
  ['texts', 'Texts', TextsView],
  ['counts', 'Counts', CountsView],
  ['laboratory', 'Laboratory', LaboratoryView],
] as const;

/** The experts page: live, routing, the figures of the paper, and the laboratory. */
export function ExpertsPage({ notices }: { notices: ComponentChildren }) {
  const [shown, , Contents] = TABS.find(([name]) => name === part.value) ?? TABS[0];
  return (
    <main class="scroll experts" id="main" tabIndex={-1}>
      <div class="column wide">
        <h1>Experts</h1>
        <nav class="tabs" aria-label="Experts">
          {TABS.map(([name, label]) => (
            <a key={name} href={tabAddress(name)} aria-current={name === shown ? 'page' : undefined}>
              {label}
            </a>
          ))}
        </nav>
        {notices}
        {!shown && loaded.value && <LiveIntroduction />}
        {loaded.value ? <Contents /> : <NoModel />}
      </div>
    </main>
  );
}

/** What the grid of the live view shows, for those who have not heard of experts. */
function LiveIntroduction() {
  const { layerCount, expertCount, expertsPerToken } = loaded.value!.summary.config;
  return (
    <p class="hint">
      The model has {layerCount} layers, the rows below. Each has {expertCount} <em>experts</em>, which are networks of
      their own. For every token (a word, or part of one) a <em>router</em> in the layer chooses {expertsPerToken} of
      them, and the others do nothing. So only the chosen ones have to be in memory.{' '}
      <a href="#experts/routing">See the choices on a text</a>
    </p>
  );
}

/** The live view in a panel beside a conversation. */
export function ExpertsPanel() {
  const hide = (): void => {
    togglePanel();
    document.querySelector<HTMLElement>('.bar [aria-expanded]')?.focus(); // the button that opens it again
  };
  return (
    <aside class="experts-panel experts" aria-label="Expert activity">
      <header>
        <h2>Experts</h2>
        <IconButton icon="close" label="Hide experts" onClick={hide} />
      </header>
      {loaded.value ? <LiveExperts /> : <NoModel />}
      <p class="hint">
        More: <a href="#experts/routing">routing of a text</a>, <a href="#experts/laboratory">laboratory</a>
      </p>
    </aside>
  );
}

const NoModel = () => (
  <p class="hint">
    {loading.value ? 'Loading the model …' : 'No model is loaded.'} {!loading.value && <a href="#models">Choose one</a>}
  </p>
);
