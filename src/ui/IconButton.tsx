import type { IconName } from './icons.tsx';
import { Icon } from './icons.tsx';

interface Props {
  icon: IconName;
  /** For screen readers, and shown as a tooltip. */
  label: string;
  onClick: (event: MouseEvent) => void;
  disabled?: boolean;
  class?: string;
  /** Sets `aria-expanded` on a button that opens something. */
  expanded?: boolean;
}

/** A button with an icon and no visible text. */
export function IconButton({ icon, label, onClick, disabled, class: className = '', expanded }: Props) {
  return (
    <button
      type="button"
      class={`icon-button ${className}`}
      aria-label={label}
      title={label}
      disabled={disabled}
      {...(expanded !== undefined && { 'aria-expanded': expanded })}
      onClick={onClick}
    >
      <Icon name={icon} />
    </button>
  );
}
