/** Which view the address names. The browser's back button works, and a view can be linked to. */
import { signal } from '@preact/signals';

export type View = 'chat' | 'models';

const viewOf = (hash: string): View => (hash === '#models' ? 'models' : 'chat');

export const view = signal<View>(viewOf(location.hash));

addEventListener('hashchange', () => {
  view.value = viewOf(location.hash);
});

export function showView(next: View): void {
  if (view.value === next) return;
  location.hash = next === 'chat' ? '' : next;
  view.value = next;
}
