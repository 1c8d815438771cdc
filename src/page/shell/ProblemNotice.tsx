/** A notice about something that went wrong or waits for the user, which screen readers announce at once. */
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
  /** Nothing went wrong: the user only has to decide. */
  isQuestion?: boolean;
}

export function ProblemNotice({ message, children, actions, onDismiss, isQuestion = false }: Props) {
  return (
    <div class={isQuestion ? 'notice' : 'notice problem'} role="alert">
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
