/** Loads the measuring view when it is first opened. */
import { signal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import { loadCode } from '../state/lazy-code.ts';

const code = signal<typeof import('./MeasureView.tsx') | undefined>(undefined);

/** The page that measures the GPU, empty except for the notices until its code is loaded. */
export function MeasurePage({ notices }: { notices: ComponentChildren }) {
  useEffect(() => {
    if (code.value) return;
    void loadCode(() => import('./MeasureView.tsx')).then((module) => {
      code.value = module;
    });
  }, []);
  const View = code.value?.MeasureView;
  if (View) return <View notices={notices} />;
  return (
    <main class="scroll" id="main" tabIndex={-1}>
      <div class="column wide">{notices}</div>
    </main>
  );
}
