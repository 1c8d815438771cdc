import { signal } from '@preact/signals';
import { Component } from 'preact';
import { useEffect, useMemo } from 'preact/hooks';
import { copyText } from '../../ui/copy-text.ts';
import { ErrorBoundary } from '../../ui/ErrorBoundary.tsx';
import { loadCode } from '../state/lazy-code.ts';
import type { Section } from './markdown-sections.ts';

const code = signal<typeof import('./markdown.ts') | undefined>(undefined);

/** Renders Markdown, or plain text until the renderer is loaded. Text that it cannot render is shown as it is. */
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

type MarkdownCode = typeof import('./markdown.ts');

function Sections({ text, renderer }: { text: string; renderer: MarkdownCode }) {
  const { sections, definitions } = renderer.splitMarkdown(text);
  // Components that decide themselves whether to render do not follow signals, so they get it as a property.
  const colors = renderer.highlight.value;
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: handles the copy buttons inside, which also work by keyboard
    // biome-ignore lint/a11y/noStaticElementInteractions: the copy buttons inside are the interactive elements
    <div class="prose" onClick={copyCode}>
      {sections.map((section, i) =>
        section.kind === 'code' ? (
          <CodeBlock key={i} section={section} colors={colors} renderer={renderer} />
        ) : (
          <ErrorBoundary key={`${i}${section.kind}`} fallback={<div class="block plain">{section.source}</div>}>
            {section.kind === 'plain' ? (
              <div class="block plain">{section.source}</div>
            ) : (
              <Prose source={section.source} definitions={definitions} colors={colors} renderer={renderer} />
            )}
          </ErrorBoundary>
        ),
      )}
    </div>
  );
}

interface Colored {
  /** Colours code; undefined until it is loaded. */
  colors: MarkdownCode['highlight']['value'];
  renderer: MarkdownCode;
}

interface ProseProps extends Colored {
  source: string;
  definitions: string;
}

/** One section of Markdown. Its HTML is made again only if its source changes, or once code can be coloured. */
class Prose extends Component<ProseProps> {
  override shouldComponentUpdate(next: ProseProps): boolean {
    const { source, definitions, colors } = this.props;
    return next.source !== source || next.definitions !== definitions || next.colors !== colors;
  }

  override render({ source, definitions, renderer }: ProseProps) {
    return renderer.proseHtml(source, definitions).map((html, i) => <Html key={i} class="block" html={html} />);
  }
}

/** Code of at most this length is coloured as a whole once it is complete, so that colours cross pieces. */
const COLOR_WHOLE = 20_000;

interface CodeBlockProps extends Colored {
  section: Section & { kind: 'code' };
}

/** A code block. While it grows, only its last lines are coloured again. */
function CodeBlock({ section: { language, code: text, closed }, colors, renderer }: CodeBlockProps) {
  const pieces = useMemo(
    () => (closed && text.length <= COLOR_WHOLE ? [text] : renderer.codePieces(text)),
    [text, closed],
  );
  const name = language || 'text';
  return (
    <div class="block">
      <div class="code">
        <div class="code-head">
          <span>{name}</span>
          <button type="button" data-copy>
            Copy
          </button>
        </div>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, also by keyboard */}
        {/* biome-ignore lint/a11y/useSemanticElements: a section cannot replace pre */}
        <pre tabIndex={0} role="region" aria-label={`Code, ${name}`}>
          <code>
            {pieces.map((piece, i) => (
              <CodePiece key={i} text={piece} language={language} colors={colors} renderer={renderer} />
            ))}
          </code>
        </pre>
      </div>
    </div>
  );
}

interface CodePieceProps extends Colored {
  text: string;
  language: string;
}

class CodePiece extends Component<CodePieceProps> {
  override shouldComponentUpdate(next: CodePieceProps): boolean {
    const { text, language, colors } = this.props;
    return next.text !== text || next.language !== language || next.colors !== colors;
  }

  override render({ text, language, renderer }: CodePieceProps) {
    return <Html inline html={renderer.codeHtml(text, language)} />;
  }
}

interface HtmlProps {
  html: string;
  inline?: boolean;
  class?: string;
}

/** HTML that is sanitized. Its DOM is kept until the HTML changes, so a selection in it survives. */
class Html extends Component<HtmlProps> {
  override shouldComponentUpdate(next: HtmlProps): boolean {
    return next.html !== this.props.html;
  }

  override render({ html, inline, class: name }: HtmlProps) {
    const Tag = inline ? 'span' : 'div';
    return <Tag class={name} dangerouslySetInnerHTML={{ __html: html }} />;
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
