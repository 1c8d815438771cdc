import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { type CopiedLink, CopyTools } from './CopyTools.tsx';
import { cellText, type FigureTable } from './csv.ts';

/** A point of a figure that readers can move to, in CSS pixels of the SVG. */
export interface Mark {
  x: number;
  y: number;
  /** What it shows, in words. */
  text: string;
}

/** A drawn figure: its height, its marks in reading order, and its SVG elements. */
export interface DrawnFigure {
  height: number;
  marks: Mark[];
  shapes: ComponentChildren;
}

interface Props {
  title: string;
  /** How to read it, in a sentence or two. */
  children: ComponentChildren;
  /** Name of a saved image, without its extension. */
  name: string;
  table: () => FigureTable;
  draw: (width: number) => DrawnFigure;
  /** Colours and marks that need an explanation. */
  legend?: ComponentChildren;
  /**
   * For a figure whose marks choose what the rest of the page shows: the index of the chosen mark, which the figure
   * draws itself. A click, a drag with the mouse and the keys choose another one. Default: pointing is enough, and
   * nothing else depends on it.
   */
  choice?: { mark: number; onChange: (mark: number) => void };
  /** In place of the words of the mark. */
  words?: ComponentChildren;
  /** The link that is copied. Default: what the address bar shows. */
  link?: () => CopiedLink;
}

/** Width until the page has been laid out. */
const FIRST_WIDTH = 640;

/** A figure with what all figures have: how to read it, words for each mark, a table, and buttons to take it along. */
export function Figure({ title, children, name, table, draw, legend, choice, words, link }: Props) {
  const shown = useRef<HTMLDivElement>(null);
  const box = useRef<HTMLDivElement>(null);
  const width = useWidth(box);
  const [pointed, setPointed] = useState<number | undefined>(undefined);
  const { height, marks, shapes } = draw(width);
  const active = choice ? choice.mark : pointed;
  const setActive = choice ? choice.onChange : setPointed;
  const mark = active === undefined ? undefined : marks[Math.min(active, marks.length - 1)];
  const point = ({ clientX, clientY }: MouseEvent): void => {
    const { left, top } = box.current!.getBoundingClientRect();
    const next = nearest(marks, clientX - left, clientY - top);
    if (next !== undefined && next !== active) setActive(next);
  };
  return (
    <figure class="figure" aria-label={title}>
      <figcaption>
        <h2>{title}</h2>
        <div class="hint">{children}</div>
      </figcaption>
      <div ref={shown}>
        {legend}
        <div
          ref={box}
          class={choice ? 'figure-box choosing' : 'figure-box'}
          role="slider"
          tabIndex={0}
          aria-label={`${title}: arrow keys move through the figure`}
          aria-valuemin={1}
          aria-valuemax={marks.length}
          aria-valuenow={(active ?? 0) + 1}
          aria-valuetext={marks[active ?? 0]?.text ?? ''}
          onKeyDown={(event) => {
            const next = markAfterKey(event.key, active ?? -1, marks.length - 1);
            if (next === undefined) return;
            event.preventDefault();
            setActive(next);
          }}
          onFocus={() => setActive(active ?? 0)}
          {...(choice
            ? { onClick: point, onPointerMove: (event: PointerEvent) => isDrag(event) && point(event) }
            : { onPointerMove: point, onPointerDown: point })}
        >
          <svg width={width} height={height} viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
            {shapes}
            {mark && !choice && <circle class="figure-active" cx={mark.x} cy={mark.y} r={8} />}
          </svg>
        </div>
      </div>
      {words ?? (
        <p class="figure-words">
          {mark?.text ?? 'Point at the figure or tap it, or use the arrow keys, to read its numbers.'}
        </p>
      )}
      <CopyTools {...{ shown, title, name, table, link }} />
      <Numbers title={title} table={table} />
    </figure>
  );
}

/** Whether a pointer is dragged that cannot scroll the page. */
const isDrag = ({ pointerType, buttons }: PointerEvent): boolean => pointerType === 'mouse' && buttons === 1;

/** The numbers of a figure, from the time on when the reader opens them: some figures change four times per second. */
function Numbers({ title, table }: Pick<Props, 'title' | 'table'>) {
  const [open, setOpen] = useState(false);
  return (
    <details class="figure-table" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>Numbers as a table</summary>
      {open && <Table title={title} table={table()} />}
    </details>
  );
}

/** The numbers of a figure. The first column names the rows. */
export function Table({ title, table: { columns, rows } }: { title: string; table: FigureTable }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling element must be reachable by keyboard
    <section class="table-scroll" tabIndex={0} aria-label={`${title}: table`}>
      <table>
        <thead>
          <tr>
            {columns.map((column) => (
              <th scope="col" key={column}>
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, r) => (
            <tr key={r}>
              {row.map((cell, c) => (c === 0 ? <th scope="row">{cellText(cell)}</th> : <td>{cellText(cell)}</td>))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** @returns the width of an element in CSS pixels, which follows the page's */
function useWidth(box: { current: HTMLDivElement | null }): number {
  const [width, setWidth] = useState(FIRST_WIDTH);
  useEffect(() => {
    const observer = new ResizeObserver(([{ contentRect }]) => {
      if (contentRect.width > 0) setWidth(Math.round(contentRect.width));
    });
    observer.observe(box.current!);
    return () => observer.disconnect();
  }, []);
  return width;
}

/** @returns the index of the mark that is nearest to a point */
export function nearest(marks: readonly Mark[], x: number, y: number): number | undefined {
  let best: number | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const [index, mark] of marks.entries()) {
    const distance = (mark.x - x) ** 2 + (mark.y - y) ** 2;
    if (distance >= least) continue;
    least = distance;
    best = index;
  }
  return best;
}

/** @returns the mark that a key leads to, or undefined for a key that does not move */
function markAfterKey(key: string, from: number, last: number): number | undefined {
  const next = {
    ArrowRight: from + 1,
    ArrowDown: from + 1,
    ArrowLeft: from - 1,
    ArrowUp: from - 1,
    PageDown: from + 10,
    PageUp: from - 10,
    Home: 0,
    End: last,
  }[key];
  return next === undefined ? undefined : Math.min(last, Math.max(0, next));
}
