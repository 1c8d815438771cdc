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
  clearTimeout(pendingAddress);
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
  choicesBefore.set(part.value, choices.value);
  location.hash = next === 'chat' ? '' : next;
  view.value = next;
  part.value = '';
  choices.value = {};
}

/** Safari refuses more than 100 changes of the address in 30 seconds, which a slider would exceed. */
const ADDRESS_PAUSE_MS = 400;
let addressChangedAt = Number.NEGATIVE_INFINITY;
let pendingAddress: ReturnType<typeof setTimeout> | undefined;

/**
 * Changes what the tab shows, and the address with it, at the latest after a moment. Adds nothing to the history. An
 * empty text removes a choice.
 */
export function choose(changes: Choices): void {
  choices.value = Object.fromEntries(
    Object.entries({ ...choices.value, ...changes }).filter(([, text]) => text !== ''),
  );
  clearTimeout(pendingAddress);
  const path = pathOf(location.hash);
  const write = (): void => {
    if (path !== pathOf(location.hash)) return; // another tab is about to be shown
    addressChangedAt = performance.now();
    history.replaceState(history.state, '', linkTo(choices.value));
  };
  const pause = addressChangedAt + ADDRESS_PAUSE_MS - performance.now();
  if (pause <= 0) write();
  else pendingAddress = setTimeout(write, pause);
}

/** @returns the part of a hash that names view and tab */
const pathOf = (hash: string): string => hash.split('?')[0];

/** @returns the address of the tab that is shown, with these choices */
export const linkTo = (of: Choices): string => new URL(withChoices(pathOf(location.hash), of), location.href).href;

/** The address of a tab of the experts view, with the choices that it had when it was last shown. */
export const tabAddress = (tab: string): string =>
  withChoices(tab ? `#experts/${tab}` : '#experts', choicesBefore.get(tab) ?? {});

function withChoices(hash: string, of: Choices): string {
  const query = new URLSearchParams(of).toString();
  return query ? `${hash}?${query}` : hash;
}

/** Shows a tab of the experts view with these choices, as a new entry of the history. */
export function showTab(tab: string, of: Choices): void {
  location.hash = withChoices(`#experts/${tab}`, of);
}

/** @returns a choice as an integer from 0 to `last`; 0 if it is none */
export function indexChoice(name: string, last: number): number {
  const index = Number(choices.value[name] ?? 0);
  return Number.isInteger(index) && index >= 0 ? Math.min(index, last) : 0;
}
