import { useState } from 'preact/hooks';

type Field = HTMLInputElement | HTMLTextAreaElement;

/**
 * The text of a field that is applied when the user leaves it. Until then the page may draw the field again, for example
 * for each token of an answer, and Preact then sets the field to its `value` property. So that property has to follow
 * what is typed.
 * @param applied what was applied last
 * @returns properties of the field, and `drop`, which shows `applied` again
 */
export function useDraft(applied: string) {
  const [draft, setDraft] = useState<string>();
  const drop = (): void => setDraft(undefined);
  const field = {
    value: draft ?? applied,
    onInput: ({ currentTarget }: { currentTarget: Field }): void => setDraft(currentTarget.value),
    // A browser fires `change` before it, and not at all if the text is that of before.
    onBlur: drop,
  };
  return { field, drop };
}
