/** The view that is shown. It is in the address's hash, so the back button works and links can name a view. */
import { batch, signal } from '@preact/signals';

export type View = 'chat' | 'models' | 'experts';

/** `#experts/routing` is the tab `routing` of the view `experts`. */
function viewOf(hash: string): { view: View; part: string } {
  const [name, part = ''] = hash.slice(1).split('/');
  return { view: name === 'models' || name === 'experts' ? name : 'chat', part };
}

/** The view that is shown. */
export const view = signal<View>(viewOf(location.hash).view);
/** The tab of a view that has several; empty: the first. */
export const part = signal(viewOf(location.hash).part);

addEventListener('hashchange', () => {
  const shown = viewOf(location.hash);
  batch(() => {
    view.value = shown.view;
    part.value = shown.part;
  });
});

/** Shows a view, at its first tab. */
export function showView(next: View): void {
  if (view.value === next) return;
  location.hash = next === 'chat' ? '' : next;
  view.value = next;
  part.value = '';
}
