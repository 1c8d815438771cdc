/** Whether the experts are shown beside a conversation, where there is room; kept by this browser. */
import { signal } from '@preact/signals';

const KEY = 'mixtab-experts-panel';

export const panelOpen = signal(localStorage.getItem(KEY) === 'open');

export function togglePanel(): void {
  panelOpen.value = !panelOpen.value;
  localStorage.setItem(KEY, panelOpen.value ? 'open' : '');
}
