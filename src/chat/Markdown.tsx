import { useEffect, useState } from 'preact/hooks';

type Render = (text: string) => string;
let renderer: Render | undefined;

/** Markdown; plain text until its renderer is loaded. */
export function Markdown({ text }: { text: string }) {
  const [render, setRender] = useState<Render | undefined>(() => renderer);
  useEffect(() => {
    if (renderer) return;
    void import('./markdown.ts').then(({ renderMarkdown }) => {
      renderer = renderMarkdown;
      setRender(() => renderMarkdown);
    });
  }, []);
  if (!render) return <div class="prose plain">{text}</div>;
  // Sanitized by renderMarkdown.
  return <div class="prose" dangerouslySetInnerHTML={{ __html: render(text) }} />;
}
