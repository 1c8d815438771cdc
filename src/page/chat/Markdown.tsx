import { Component, createRef } from 'preact';
import { useMemo, useRef, useState } from 'preact/hooks';
import { ErrorBoundary } from '../../ui/ErrorBoundary.tsx';
import type { MarkdownCode } from './CodeBlock.tsx';
import { copyCode } from './copy-code.ts';
import { DrawLater } from './DrawLater.tsx';
import { plainWork, QueueEntry } from './drawing-queue.ts';
import { loadMarkdown, markdownCode } from './markdown-code.ts';
import { groupsOf, SectionGroup } from './SectionGroup.tsx';

/** If a text changes before its last so many characters, it is another text, which is drawn anew. */
const MAY_CHANGE = 1000;

interface Props {
  text: string;
  /** CSS pixels that the text takes at least until all of it is drawn, in place of something as high. */
  minHeight?: number;
}

/**
 * Renders Markdown, its end first and the rest in steps; or plain text until the renderer is loaded, and then Markdown when
 * it is its turn. Text that it cannot render is shown as it is.
 */
export class Markdown extends Component<Props> {
  readonly #entry = new QueueEntry();
  readonly #plain = createRef<HTMLDivElement>();
  #renderer = markdownCode.peek();
  #minHeight = this.props.minHeight;
  #stop = (): void => {};

  override componentDidMount(): void {
    if (this.#renderer) return;
    void loadMarkdown();
    this.#stop = markdownCode.subscribe((renderer) => {
      if (!renderer) return;
      this.#entry.await(plainWork(this.props.text), () => {
        this.#minHeight = this.#plain.current?.offsetHeight;
        this.#renderer = renderer;
        this.forceUpdate();
      });
    });
  }

  override componentWillUnmount(): void {
    this.#stop();
    this.#entry.cancel();
  }

  override render({ text }: Props) {
    const plain = (
      <div class="prose plain" ref={this.#plain}>
        {text}
      </div>
    );
    if (!this.#renderer) return plain;
    return (
      <ErrorBoundary fallback={plain}>
        <Sections text={text} renderer={this.#renderer} minHeight={this.#minHeight} />
      </ErrorBoundary>
    );
  }
}

interface SectionsProps extends Props {
  renderer: MarkdownCode;
}

function Sections({ text, renderer, minHeight }: SectionsProps) {
  const shown = useMemo(() => ({ text: '', version: 0, splitter: new renderer.MarkdownSplitter() }), [renderer]);
  if (!text.startsWith(shown.text.slice(0, -MAY_CHANGE))) shown.version++;
  shown.text = text;
  const { sections, definitions } = shown.splitter.split(text);
  // Components that decide themselves whether to render do not follow signals, so they get it as a property.
  const colors = renderer.highlight.value;
  const [held, setHeld] = useState(minHeight);
  // The queue draws from one end, so all between its two ends is drawn once both had their turn.
  const ends = useRef(0);
  const end = (key: string) =>
    held !== undefined && (
      <DrawLater key={key} work={0} onDraw={() => ++ends.current === 2 && setHeld(undefined)}>
        {() => null}
      </DrawLater>
    );
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: handles the copy buttons inside, which also work by keyboard
    // biome-ignore lint/a11y/noStaticElementInteractions: the copy buttons inside are the interactive elements
    <div
      class={held === undefined ? 'prose' : 'prose held'}
      style={held === undefined ? undefined : { minHeight: held }}
      onClick={onClick}
    >
      {end('first')}
      {groupsOf(sections).map((group, i) => (
        <DrawLater key={`${shown.version}/${i}`} work={group.work}>
          {() => (
            <SectionGroup sections={group.sections} definitions={definitions} colors={colors} renderer={renderer} />
          )}
        </DrawLater>
      ))}
      {end('last')}
    </div>
  );
}

function onClick({ target }: MouseEvent): void {
  if (target instanceof HTMLButtonElement && 'copy' in target.dataset)
    void copyCode(target, target.closest('.code')?.querySelector('code')?.textContent ?? '');
}
