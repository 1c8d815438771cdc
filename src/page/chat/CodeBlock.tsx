import { Component } from 'preact';
import { copyCode } from './copy-code.ts';
import { DrawLater } from './DrawLater.tsx';
import { markdownWork, QueueEntry } from './drawing-queue.ts';
import { Html } from './Html.tsx';
import type { Section } from './markdown-sections.ts';

/** The code that converts Markdown, which is loaded with the first answer. */
export type MarkdownCode = typeof import('./markdown.ts');

/** What all parts of an answer are drawn with. */
export interface Colored {
  /** Colours code; undefined until it is loaded. */
  colors: MarkdownCode['highlight']['value'];
  renderer: MarkdownCode;
}

/** Code of at most this length is coloured as a whole once it is complete, so that colours cross pieces. */
const COLOR_WHOLE = 20_000;

type CodeSection = Section & { kind: 'code' };

interface CodeBlockProps extends Colored {
  section: CodeSection;
}

const mayBeWhole = ({ closed, code }: CodeSection): boolean => closed && code.length <= COLOR_WHOLE;

/** A code block, drawn in pieces. While it grows, only its last lines are coloured again. */
export class CodeBlock extends Component<CodeBlockProps> {
  readonly #entry = new QueueEntry();
  /** Complete code is a single piece. Code that grew becomes one when it is its turn. */
  #whole: 'from the start' | 'since it ended' | undefined = mayBeWhole(this.props.section)
    ? 'from the start'
    : undefined;
  #code = '';
  #pieces: string[] = [];

  override shouldComponentUpdate({ section, colors }: CodeBlockProps): boolean {
    return section !== this.props.section || colors !== this.props.colors;
  }

  override componentDidUpdate(): void {
    const { section } = this.props;
    if (this.#whole || !mayBeWhole(section)) return;
    this.#entry.await(markdownWork(section.code), () => {
      if (!mayBeWhole(this.props.section)) return;
      this.#whole = 'since it ended';
      this.forceUpdate();
    });
  }

  override componentWillUnmount(): void {
    this.#entry.cancel();
  }

  override render({ section, colors, renderer }: CodeBlockProps) {
    const { language } = section;
    const name = language || 'text';
    const draw = (text: string, key?: string) => (
      <CodePiece key={key} text={text} language={language} colors={colors} renderer={renderer} />
    );
    return (
      <div class="block">
        <div class="code">
          <div class="code-head">
            <span>{name}</span>
            {/* Also copies the lines that are not drawn yet. */}
            <button type="button" onClick={({ currentTarget }) => void copyCode(currentTarget, section.code)}>
              Copy
            </button>
          </div>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, also by keyboard */}
          {/* biome-ignore lint/a11y/useSemanticElements: a section cannot replace pre */}
          <pre tabIndex={0} role="region" aria-label={`Code, ${name}`}>
            <code>
              {this.#isWhole(section)
                ? draw(section.code, 'whole')
                : this.#piecesOf(section, renderer).map((piece, i) => (
                    <DrawLater key={i} work={markdownWork(piece)}>
                      {() => draw(piece)}
                    </DrawLater>
                  ))}
            </code>
          </pre>
        </div>
      </div>
    );
  }

  #isWhole(section: CodeSection): boolean {
    if (!mayBeWhole(section)) this.#whole = undefined;
    return this.#whole === 'since it ended';
  }

  #piecesOf({ code }: CodeSection, renderer: MarkdownCode): readonly string[] {
    if (this.#whole) return [code];
    this.#pieces = renderer.codePieces(code, code.startsWith(this.#code) ? this.#pieces : []);
    this.#code = code;
    return this.#pieces;
  }
}

interface CodePieceProps extends Colored {
  text: string;
  language: string;
}

/** Some lines of code. They get their colours when it is their turn. */
class CodePiece extends Component<CodePieceProps> {
  readonly #entry = new QueueEntry();

  override shouldComponentUpdate({ text, language, colors }: CodePieceProps): boolean {
    if (text !== this.props.text || language !== this.props.language) return true;
    if (colors !== this.props.colors) this.#entry.await(markdownWork(text), () => this.forceUpdate());
    return false;
  }

  override componentWillUnmount(): void {
    this.#entry.cancel();
  }

  override render({ text, language, renderer }: CodePieceProps) {
    return <Html inline html={renderer.codeHtml(text, language)} />;
  }
}
