/** The experts' view as the start of the page knows it: its code and style come when it is first opened. */
import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { Notices } from '../app/Notices.tsx';
import { report } from '../app/problems.ts';
import { MixtabError } from '../contract/errors.ts';

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
export function ExpertsPage() {
  const View = useCode()?.ExpertsPage;
  if (View) return <View />;
  return (
    <main class="scroll" id="main" tabIndex={-1}>
      <div class="column wide">
        <Notices />
      </div>
    </main>
  );
}

/** The live part, beside a conversation. */
export function ExpertsPanel() {
  const View = useCode()?.ExpertsPanel;
  return View ? <View /> : null;
}
