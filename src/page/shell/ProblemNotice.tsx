/** A notice about something that went wrong, which screen readers announce at once. */
import type { ComponentChildren } from 'preact';
import { IconButton } from '../../ui/IconButton.tsx';

interface Props {
  /** What happened, in one sentence. */
  message: string;
  /** What it means, or what to do. */
  children: ComponentChildren;
  /** Buttons. */
  actions?: ComponentChildren;
  /** Without it, the notice cannot be dismissed. */
  onDismiss?: () => void;
}

export function ProblemNotice({ message, children, actions, onDismiss }: Props) {
  return (
    <div class="notice problem" role="alert">
      <div>
        <p>
          <strong>{message}</strong> {children}
        </p>
        {actions && <div class="row">{actions}</div>}
      </div>
      {onDismiss && <IconButton icon="close" label="Dismiss" onClick={onDismiss} />}
    </div>
  );
}
