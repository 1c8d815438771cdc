/** The state of the expert cache, polled while it is shown. */
import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { ExpertsReport } from '../../contract/engine-api.ts';
import { experiment, generating } from '../state/generation.ts';
import { loaded } from '../state/models.ts';
import { engine } from './workers.ts';

/** While the engine computes, and while it is idle. */
const POLL_MS = { computing: 250, idle: 1000 };

const newest = signal<ExpertsReport | undefined>(undefined);

/** The newest report. The engine is asked while the calling component is mounted and the page is visible. */
export function useExpertsReport(): ExpertsReport | undefined {
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout>;
    let unmounted = false;
    const poll = async (): Promise<void> => {
      if (!document.hidden) {
        const answer = await engine.experts().catch(() => undefined);
        if (unmounted) return;
        newest.value = answer;
      }
      timer = setTimeout(poll, generating.value || experiment.value ? POLL_MS.computing : POLL_MS.idle);
    };
    void poll();
    return () => {
      unmounted = true;
      clearTimeout(timer);
    };
  }, []);
  return loaded.value && newest.value;
}
