import { signal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import { ErrorBoundary } from '../../ui/ErrorBoundary.tsx';
import { loadCode } from '../state/lazy-code.ts';
import type { MarkdownCode } from './CodeBlock.tsx';
import { copyCode } from './copy-code.ts';
import { DrawLater } from './DrawLater.tsx';
import { groupsOf, SectionGroup } from './SectionGroup.tsx';

const code = signal<MarkdownCode | undefined>(undefined);

/** If a text changes before its last so many characters, it is another text, which is drawn anew. */
const MAY_CHANGE = 1000;

/**
 * Renders Markdown, its end first and the rest in steps; or plain text until the renderer is loaded. Text that it cannot
 * render is shown as it is.
 */
export function Markdown({ text }: { text: string }) {
  useEffect(() => {
    if (!code.value) void loadCode(() => import('./markdown.ts')).then((module) => (code.value = module));
  }, []);
  if (!code.value) return <Plain text={text} />;
  return (
    <ErrorBoundary fallback={<Plain text={text} />}>
      <Sections text={text} renderer={code.value} />
    </ErrorBoundary>
  );
}

const Plain = ({ text }: { text: string }) => <div class="prose plain">{text}</div>;

function Sections({ text, renderer }: { text: string; renderer: MarkdownCode }) {
  const shown = useMemo(() => ({ text: '', version: 0, splitter: new renderer.MarkdownSplitter() }), [renderer]);
  if (!text.startsWith(shown.text.slice(0, -MAY_CHANGE))) shown.version++;
  shown.text = text;
  const { sections, definitions } = shown.splitter.split(text);
  // Components that decide themselves whether to render do not follow signals, so they get it as a property.
  const colors = renderer.highlight.value;
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: handles the copy buttons inside, which also work by keyboard
    // biome-ignore lint/a11y/noStaticElementInteractions: the copy buttons inside are the interactive elements
    <div class="prose" onClick={onClick}>
      {groupsOf(sections).map((group, i) => (
        <DrawLater key={`${shown.version}/${i}`} work={group.work}>
          {() => (
            <SectionGroup sections={group.sections} definitions={definitions} colors={colors} renderer={renderer} />
          )}
        </DrawLater>
      ))}
    </div>
  );
}

function onClick({ target }: MouseEvent): void {
  if (target instanceof HTMLButtonElement && 'copy' in target.dataset)
    void copyCode(target, target.closest('.code')?.querySelector('code')?.textContent ?? '');
}
