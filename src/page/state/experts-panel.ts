/** Whether the experts panel is open beside a conversation, if the window is wide enough. Kept in localStorage. */
import { signal } from '@preact/signals';
import { recall, remember } from './web-storage.ts';

const KEY = 'mixtab-experts-panel';

/** Whether the panel is open. */
export const panelOpen = signal(recall('localStorage', KEY) === 'open');

/** Opens or closes the panel, and remembers that on this device. */
export function togglePanel(): void {
  panelOpen.value = !panelOpen.value;
  remember('localStorage', KEY, panelOpen.value ? 'open' : '');
}
