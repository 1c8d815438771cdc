/** The view that is shown. It is in the address's hash, so the back button works and links can name a view. */
import { batch, signal } from '@preact/signals';

export type View = 'chat' | 'models' | 'experts' | 'measure';

const NAMED: readonly string[] = ['models', 'experts', 'measure'] satisfies View[];

/** What a tab shows, for example `{ layer: '3' }`. Texts of the address, so readers check them. */
export type Choices = Readonly<Record<string, string>>;

/** `#experts/texts?layer=3` is the tab `texts` of the view `experts`, with a choice. */
function viewOf(hash: string): { view: View; part: string; choices: Choices } {
  const [path, query = ''] = hash.slice(1).split('?');
  const [name, part = ''] = path.split('/');
  return {
    view: NAMED.includes(name) ? (name as View) : 'chat',
    part,
    choices: Object.fromEntries(new URLSearchParams(query)),
  };
}

/** The view that is shown. */
export const view = signal<View>(viewOf(location.hash).view);
/** The tab of a view that has several; empty: the first. */
export const part = signal(viewOf(location.hash).part);
/** What the tab shows. */
export const choices = signal<Choices>(viewOf(location.hash).choices);
/** The choices of tabs that were shown before, so that returning to one restores them. */
const choicesBefore = new Map<string, Choices>();

addEventListener('hashchange', () => {
  const shown = viewOf(location.hash);
  batch(() => {
    choicesBefore.set(part.value, choices.value);
    view.value = shown.view;
    part.value = shown.part;
    choices.value = shown.choices;
  });
});

/** Shows a view, at its first tab. */
export function showView(next: View): void {
  if (view.value === next) return;
  location.hash = next === 'chat' ? '' : next;
  view.value = next;
  part.value = '';
  choices.value = {};
}

/** Changes what the tab shows, and the address with it. Adds nothing to the history. An empty text removes a choice. */
export function choose(changes: Choices): void {
  const next = Object.fromEntries(Object.entries({ ...choices.value, ...changes }).filter(([, text]) => text !== ''));
  choices.value = next;
  history.replaceState(history.state, '', withChoices(location.hash.split('?')[0], next));
}

/** The address of a tab of the experts view, with the choices that it had when it was last shown. */
export const tabAddress = (tab: string): string =>
  withChoices(tab ? `#experts/${tab}` : '#experts', choicesBefore.get(tab) ?? {});

function withChoices(hash: string, of: Choices): string {
  const query = new URLSearchParams(of).toString();
  return query ? `${hash}?${query}` : hash;
}

/** @returns a choice as an integer from 0 to `last`; 0 if it is none */
export function indexChoice(name: string, last: number): number {
  const index = Number(choices.value[name] ?? 0);
  return Number.isInteger(index) && index >= 0 ? Math.min(index, last) : 0;
}
