/** What a reload of the page would cut off. */
import { computed } from '@preact/signals';
import { experiment, generating } from './generation.ts';
import { runningImport } from './imports.ts';

/** Work that a reload would end, in one word; undefined if there is none. */
export const busyWith = computed<'answer' | 'experiment' | 'import' | 'verification' | 'repair' | undefined>(() => {
  if (generating.value) return 'answer';
  if (experiment.value) return 'experiment';
  if (!runningImport.value) return undefined;
  return runningImport.value.kind === 'verify' ? 'verification' : runningImport.value.kind;
});
