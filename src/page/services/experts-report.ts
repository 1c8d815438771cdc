/** The state of the expert cache, polled while it is shown. */
import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { ExpertsReport, LoadedModel } from '../../contract/engine-api.ts';
import { experiment, generating } from '../state/generation.ts';
import { loaded } from '../state/models.ts';
import { engine } from './workers.ts';

/** While the engine computes, and while it is idle. */
const POLL_MS = { computing: 250, idle: 1000 };

/** The newest report, with the loaded model that it is about. */
const newest = signal<{ of: LoadedModel; report: ExpertsReport } | undefined>(undefined);

/** Asks the engine. An answer that comes after another model was loaded is of no use. */
export async function askForReport(): Promise<void> {
  const of = loaded.value;
  const report = of && (await engine.experts().catch(() => undefined));
  newest.value = report && of === loaded.value ? { of, report } : undefined;
}

/** The newest report about the loaded model; undefined until there is one. */
export const shownReport = (): ExpertsReport | undefined =>
  newest.value?.of === loaded.value ? newest.value?.report : undefined;

/** The newest report. The engine is asked while the calling component is mounted and the page is visible. */
export function useExpertsReport(): ExpertsReport | undefined {
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout>;
    let unmounted = false;
    const poll = async (): Promise<void> => {
      if (!document.hidden) {
        await askForReport();
        if (unmounted) return;
      }
      timer = setTimeout(poll, generating.value || experiment.value ? POLL_MS.computing : POLL_MS.idle);
    };
    void poll();
    return () => {
      unmounted = true;
      clearTimeout(timer);
    };
  }, []);
  return shownReport();
}
