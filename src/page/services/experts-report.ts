/** What the experts do, asked for again and again while somebody looks. */
import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { ExpertsReport } from '../../contract/engine-api.ts';
import { experiment, generating, loaded } from '../state/state.ts';
import { engine } from './workers.ts';

/** While tokens are computed, and while nothing happens. */
const ASK_EVERY_MS = { running: 250, idle: 1000 };

const report = signal<ExpertsReport | undefined>(undefined);

/** The newest report; asked for while the component that calls this is on the page and the page is seen. */
export function useReport(): ExpertsReport | undefined {
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout>;
    let gone = false;
    const ask = async (): Promise<void> => {
      if (!document.hidden) {
        const newest = await engine.experts().catch(() => undefined);
        if (gone) return;
        report.value = newest;
      }
      timer = setTimeout(ask, generating.value || experiment.value ? ASK_EVERY_MS.running : ASK_EVERY_MS.idle);
    };
    void ask();
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, []);
  return loaded.value && report.value;
}
