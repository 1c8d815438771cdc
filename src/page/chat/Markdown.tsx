import { signal } from '@preact/signals';
import { Component } from 'preact';
import { useEffect } from 'preact/hooks';
import { copyText } from '../../ui/copy-text.ts';

type Render = (text: string) => string[];
const render = signal<Render | undefined>(undefined);

/** Renders Markdown, or plain text until the renderer is loaded. */
export function Markdown({ text }: { text: string }) {
  useEffect(() => {
    if (!render.value) void import('./markdown.ts').then((module) => (render.value = module.renderBlocks));
  }, []);
  if (!render.value) return <div class="prose plain">{text}</div>;
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: handles the copy buttons inside, which also work by keyboard
    // biome-ignore lint/a11y/noStaticElementInteractions: the copy buttons inside are the interactive elements
    <div class="prose" onClick={copyCode}>
      {render.value(text).map((html, i) => (
        <Block key={i} html={html} />
      ))}
    </div>
  );
}

/** HTML that `renderBlocks` has sanitized. Its DOM is kept until the HTML changes, so a selection in it survives. */
class Block extends Component<{ html: string }> {
  override shouldComponentUpdate(next: { html: string }): boolean {
    return next.html !== this.props.html;
  }

  override render() {
    return <div class="block" dangerouslySetInnerHTML={{ __html: this.props.html }} />;
  }
}

async function copyCode({ target }: MouseEvent): Promise<void> {
  if (!(target instanceof HTMLButtonElement) || !('copy' in target.dataset)) return;
  if (!(await copyText(target.closest('.code')?.querySelector('code')?.textContent ?? ''))) return;
  target.textContent = 'Copied';
  setTimeout(() => {
    target.textContent = 'Copy';
  }, 1500);
}
