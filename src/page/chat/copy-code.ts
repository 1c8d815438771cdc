import { copyText } from '../../ui/copy-text.ts';

/** Copies code, and says so on the button for a moment. */
export async function copyCode(button: HTMLButtonElement, code: string): Promise<void> {
  if (!(await copyText(code))) return;
  button.textContent = 'Copied';
  setTimeout(() => {
    button.textContent = 'Copy';
  }, 1500);
}
