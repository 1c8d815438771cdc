import { ownText } from '../state/text-routing.ts';

/** The field for the user's own text, which all views that read a text share. @param onEdit called after each change */
export function OwnText({ onEdit }: { onEdit?: () => void }) {
  return (
    <textarea
      class="text-field"
      rows={5}
      aria-label="Text to read"
      value={ownText.value}
      onInput={(event) => {
        ownText.value = event.currentTarget.value;
        onEdit?.();
      }}
    />
  );
}
