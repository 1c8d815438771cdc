import { useState } from 'preact/hooks';
import { copyText } from './copy-text.ts';
import { IconButton } from './IconButton.tsx';

/** How long the check mark stays. */
const SHOWN_MS = 1500;

/** Copies a text and says that it did. */
export function CopyButton({ text, label }: { text: () => string; label: string }) {
  const [copied, setCopied] = useState(false);
  return (
    <IconButton
      icon={copied ? 'check' : 'copy'}
      label={copied ? 'Copied' : label}
      onClick={async () => {
        if (!(await copyText(text()))) return;
        setCopied(true);
        setTimeout(() => setCopied(false), SHOWN_MS);
      }}
    />
  );
}
