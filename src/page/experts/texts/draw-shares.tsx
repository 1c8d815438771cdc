import { scaleLinear } from 'd3-scale';
import { BottomAxis } from '../figure/axes.tsx';
import type { DrawnFigure, Mark } from '../figure/Figure.tsx';
import { percent } from '../routing.ts';
import type { ShareDot } from './specialisation.ts';

interface Shares {
  dots: readonly ShareDot[];
  /** Names of the texts. */
  names: readonly string[];
  expertCount: number;
}

const ROW = 15;
const GAP = 26;
const NAMES = 84;
const RIGHT = 16;
const AXIS = 42;
/** Wider figures have two columns of experts. */
const TWO_COLUMNS = 620;

/** Draws one row per expert and text: the share as a dot, its interval as a line, an equal share as a dashed line. */
export function drawShares({ dots, names, expertCount }: Shares, width: number): DrawnFigure {
  const columns = width >= TWO_COLUMNS && expertCount > 1 ? 2 : 1;
  const perColumn = Math.ceil(expertCount / columns);
  const group = names.length * ROW + GAP;
  const bottom = perColumn * group;
  const most = Math.max(2 / expertCount, ...dots.map(({ share, high }) => high ?? share));
  const columnWidth = width / columns;
  const columnsDrawn = Array.from({ length: columns }, (_, column) => {
    const left = column * columnWidth + NAMES;
    const x = scaleLinear([0, most], [left, (column + 1) * columnWidth - RIGHT]);
    const inColumn = dots.filter(({ expert }) => Math.floor(expert / perColumn) === column);
    const rowOf = ({ expert, text }: ShareDot): number => (expert % perColumn) * group + GAP + (text + 0.5) * ROW;
    return { x, left, inColumn, rowOf };
  });
  const marks: Mark[] = columnsDrawn.flatMap(({ x, inColumn, rowOf }) =>
    inColumn.map((dot) => ({ x: x(dot.share), y: rowOf(dot), text: shareWords(dot, names[dot.text], expertCount) })),
  );
  return {
    height: bottom + AXIS,
    marks,
    shapes: columnsDrawn.map(({ x, left, inColumn, rowOf }, column) => (
      <g key={column}>
        <BottomAxis
          ticks={x.ticks(4).map((value) => ({ at: x(value), label: percent(value, 0) }))}
          position={bottom}
          grid={[4, bottom]}
          title="share of the selections"
          titleAt={(left + x(most)) / 2}
        />
        <line class="expected" x1={x(1 / expertCount)} x2={x(1 / expertCount)} y1={4} y2={bottom} />
        {inColumn.map((dot) => (
          <Row key={`${dot.expert} ${dot.text}`} dot={dot} name={names[dot.text]} x={x} left={left} y={rowOf(dot)} />
        ))}
      </g>
    )),
  };
}

interface RowProps {
  dot: ShareDot;
  name: string;
  x: (share: number) => number;
  left: number;
  y: number;
}

function Row({ dot: { expert, text, share, low, high, differs }, name, x, left, y }: RowProps) {
  return (
    <>
      {text === 0 && (
        <text class="group-title" x={left - NAMES} y={y - ROW / 2 - 5}>
          Expert {expert}
        </text>
      )}
      <text class="row-name" x={left - 8} y={y + 4} text-anchor="end">
        {name}
      </text>
      {low !== undefined && <line class={`whisker series-${text % 7}`} x1={x(low)} x2={x(high!)} y1={y} y2={y} />}
      <circle class={`dot series-${text % 7} ${differs ? 'filled' : ''}`} cx={x(share)} cy={y} r={4} />
    </>
  );
}

function shareWords({ expert, share, low, high, differs }: ShareDot, name: string, expertCount: number): string {
  const range = low === undefined ? '' : `, 95% interval ${percent(low)} to ${percent(high!)}`;
  const verdict = differs ? 'More than noise.' : 'Noise could explain the difference.';
  return `Expert ${expert}, ${name}: ${percent(share)} of the selections${range}. An equal share is ${percent(1 / expertCount)}. ${verdict}`;
}
