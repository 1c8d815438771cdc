import type { IconName } from './icons.tsx';
import { Icon } from './icons.tsx';

interface Props {
  icon: IconName;
  /** Read by screen readers and shown when the pointer rests. */
  label: string;
  onClick: (event: MouseEvent) => void;
  disabled?: boolean;
  class?: string;
  expanded?: boolean;
}

/** A button that is a drawing only. */
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
