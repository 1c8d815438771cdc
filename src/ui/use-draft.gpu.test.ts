/** A field in a real DOM that is drawn again while somebody types. */
import { h, render } from 'preact';
import { beforeEach, expect, it } from 'vitest';
import { rootPerTest } from './root-testing.ts';
import { useDraft } from './use-draft.ts';

let root: HTMLElement;
rootPerTest((element) => {
  root = element;
});

/** A field that applies even numbers only. */
function Even({ applied, apply }: { applied: string; apply: (value: string) => void; drawing?: number }) {
  const { field, drop } = useDraft(applied);
  return h('input', {
    ...field,
    onChange({ currentTarget }) {
      drop();
      if (Number(currentTarget.value) % 2 === 0) apply(currentTarget.value);
    },
  });
}

let applied: string;
let drawings = 0;
const draw = (): void =>
  render(
    h(Even, {
      applied,
      drawing: drawings++,
      apply(value) {
        applied = value;
        draw();
      },
    }),
    root,
  );

const field = (): HTMLInputElement => root.querySelector('input')!;

const nextTask = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));

/** Types into the field as a user does, who has not left it yet. */
async function type(text: string): Promise<void> {
  field().focus();
  field().value = text;
  field().dispatchEvent(new InputEvent('input', { bubbles: true }));
  await nextTask();
}

/** Leaves the field. A browser fires `change` if the user has changed the text. */
async function leave(changed = true): Promise<void> {
  if (changed) field().dispatchEvent(new Event('change', { bubbles: true }));
  field().dispatchEvent(new FocusEvent('blur'));
  await nextTask();
}

beforeEach(() => {
  applied = '4';
  draw();
});

it('keeps what is typed when the page draws the field again', async () => {
  await type('12');
  draw();
  await nextTask();
  expect(field().value).toBe('12');
  await leave();
  expect(applied).toBe('12');
  expect(field().value).toBe('12');
});

it('shows the previous value again if what was typed is not applied', async () => {
  await type('13');
  await leave();
  expect(applied).toBe('4');
  expect(field().value).toBe('4');
});

it('shows what is changed elsewhere once the user has left the field', async () => {
  await type('12');
  await type('4');
  await leave(false);
  applied = '8';
  draw();
  expect(field().value).toBe('8');
});
