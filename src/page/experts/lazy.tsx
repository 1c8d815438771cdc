/** Loads the experts view when it is first opened, so that its code and styles do not delay the start of the page. */
import { signal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import { loadCode } from '../state/lazy-code.ts';

const code = signal<typeof import('./ExpertsView.tsx') | undefined>(undefined);

/** @returns the module of the view, or undefined until it is loaded */
function useCode(): typeof code.value {
  useEffect(() => {
    if (code.value) return;
    void loadCode(() => import('./ExpertsView.tsx')).then((module) => {
      code.value = module;
    });
  }, []);
  return code.value;
}

/** The experts page, empty except for the notices until its code is loaded. */
export function ExpertsPage({ notices }: { notices: ComponentChildren }) {
  const View = useCode()?.ExpertsPage;
  if (View) return <View notices={notices} />;
  return (
    <main class="scroll" id="main" tabIndex={-1}>
      <div class="column wide">{notices}</div>
    </main>
  );
}

/** The panel beside a conversation, empty until its code is loaded. */
export function ExpertsPanel() {
  const View = useCode()?.ExpertsPanel;
  return View ? <View /> : null;
}
