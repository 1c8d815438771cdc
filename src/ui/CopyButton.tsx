import { useState } from 'preact/hooks';
import { copyText } from './copy-text.ts';
import { IconButton } from './IconButton.tsx';

/** How long the check mark is shown. */
const COPIED_MS = 1500;

/** A button that copies a text and shows a check mark when it has. */
export function CopyButton({ text, label }: { text: () => string; label: string }) {
  const [copied, setCopied] = useState(false);
  return (
    <IconButton
      icon={copied ? 'check' : 'copy'}
      label={copied ? 'Copied' : label}
      onClick={async () => {
        if (!(await copyText(text()))) return;
        setCopied(true);
        setTimeout(() => setCopied(false), COPIED_MS);
      }}
    />
  );
}
