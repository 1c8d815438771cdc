/** The experts' view as the start of the page knows it: its code and style come when it is first opened. */
import { signal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import { MixtabError } from '../../contract/errors.ts';
import { report } from '../services/problems.ts';

const code = signal<typeof import('./ExpertsView.tsx') | undefined>(undefined);

/** undefined until the code is here. */
function useCode(): typeof code.value {
  useEffect(() => {
    if (code.value) return;
    import('./ExpertsView.tsx').then(
      (module) => {
        code.value = module;
      },
      () =>
        report(new MixtabError('source-unreachable', "The experts' view could not be fetched.", 'Reload the page.')),
    );
  }, []);
  return code.value;
}

/** The whole view. */
export function ExpertsPage({ notices }: { notices: ComponentChildren }) {
  const View = useCode()?.ExpertsPage;
  if (View) return <View notices={notices} />;
  return (
    <main class="scroll" id="main" tabIndex={-1}>
      <div class="column wide">{notices}</div>
    </main>
  );
}

/** The live part, beside a conversation. */
export function ExpertsPanel() {
  const View = useCode()?.ExpertsPanel;
  return View ? <View /> : null;
}
