import { scaleLinear } from 'd3-scale';
import type { DrawnFigure } from '../figure/Figure.tsx';
import { visible } from '../routing.ts';
import { formatProbability, type LayerRow, layerSentences, longest } from './layers.ts';

const ROW = 26;
const HEAD = 22;
/** Pixels that a selected expert's number and weight need. */
const LABEL_WIDTH = 40;
/** Below this width, lengths are left to the text and the table. */
const NARROW = 560;

interface Look {
  /** The layer that is highlighted. */
  shown: number;
  /** A CSS colour per expert. */
  colours: readonly string[];
}

/** Where the columns of the figure begin and how wide they are, for a width in CSS pixels. */
function columnsFor(width: number, experts: number) {
  const wide = width >= NARROW;
  const router = { x: 26, width: Math.min(experts * (wide ? 20 : 14), width * (wide ? 0.24 : 0.4)) };
  const chosen = { x: router.x + router.width + 8, width: wide ? 118 : 0 };
  const lengths = { x: chosen.x + chosen.width, width: wide ? width * 0.24 : 0 };
  const x = lengths.x + lengths.width + (wide ? 12 : 0);
  return { wide, router, chosen, lengths, prediction: { x, width: Math.max(60, width - x) } };
}
type Columns = ReturnType<typeof columnsFor>;

/**
 * Draws a row per layer, from the top down: the router's preferences, the chosen experts with their weights, how long
 * the vectors are that attention and these experts add, and what the model would predict if it ended there.
 */
export function drawLayers(rows: readonly LayerRow[], { shown, colours }: Look, width: number): DrawnFigure {
  const columns = columnsFor(width, rows[0].preferences.length);
  const length = scaleLinear([0, longest(rows)], [0, Math.max(1, columns.lengths.width - 4)]);
  return {
    height: HEAD + rows.length * ROW,
    // In one column, so that the row at the pointer is the nearest mark.
    marks: rows.map((row, index) => ({
      x: width / 2,
      y: HEAD + (index + 0.5) * ROW,
      text: layerSentences(row).join(' '),
    })),
    shapes: (
      <g class="layer-figure">
        <Heads columns={columns} />
        {rows.map((row) => (
          <Row key={row.layer} {...{ row, columns, length, colours, width }} isShown={row.layer === shown} />
        ))}
      </g>
    ),
  };
}

function Heads({ columns: { wide, router, chosen, lengths, prediction } }: { columns: Columns }) {
  return (
    <g class="heads">
      <text x={router.x} y={13}>
        Router
      </text>
      {wide && (
        <>
          <text x={chosen.x} y={13}>
            Chosen
          </text>
          <text x={lengths.x} y={13}>
            Added, and sum
          </text>
        </>
      )}
      <text x={prediction.x} y={13}>
        Prediction
      </text>
    </g>
  );
}

interface RowProps {
  row: LayerRow;
  columns: Columns;
  length: (value: number) => number;
  colours: readonly string[];
  isShown: boolean;
  width: number;
}

function Row({ row, columns, length, colours, isShown, width }: RowProps) {
  const y = HEAD + row.layer * ROW;
  return (
    <g transform={`translate(0 ${y})`} class={isShown ? 'layer shown' : 'layer'}>
      <rect class="back" x={0.5} y={0.5} width={width - 1} height={ROW - 1} rx={4} />
      <text x={20} y={17} text-anchor="end">
        {row.layer}
      </text>
      <Preferences {...{ row, columns, colours }} />
      {columns.wide && <Chosen {...{ row, columns, colours }} />}
      {columns.wide && <Lengths {...{ row, columns, length, colours }} />}
      <PredictionBar {...{ row, columns }} />
    </g>
  );
}

/** A bar per expert: its share of the softmax over all experts. */
function Preferences({ row, columns: { router }, colours }: Pick<RowProps, 'row' | 'columns' | 'colours'>) {
  const step = router.width / row.preferences.length;
  const height = scaleLinear([0, 1], [1, ROW - 6]);
  const chosen = new Set(row.experts.map(({ expert }) => expert));
  return (
    <>
      {row.preferences.map((share, expert) => (
        <rect
          key={expert}
          class={chosen.has(expert) ? 'bar chosen' : 'bar'}
          x={router.x + expert * step + step * 0.1}
          y={ROW - 3 - height(share)}
          width={Math.max(1, step * 0.8)}
          height={height(share)}
          style={chosen.has(expert) ? { fill: colours[expert] } : undefined}
        />
      ))}
    </>
  );
}

/** The chosen experts with their weights, as coloured labels whose widths are the weights. */
function Chosen({ row, columns: { chosen }, colours }: Pick<RowProps, 'row' | 'columns' | 'colours'>) {
  const room = chosen.width - 12;
  let x = chosen.x;
  return (
    <>
      {row.experts.map(({ expert, weight }, rank) => {
        const part = Math.max(2, weight * room);
        const left = x;
        x += part;
        return (
          <g key={rank}>
            <rect x={left} y={4} width={part - 1} height={ROW - 8} rx={3} style={{ fill: colours[expert] }} />
            {part > LABEL_WIDTH && (
              <text class="small" x={left + 4} y={17}>
                {expert}: {Math.round(100 * weight)}%
              </text>
            )}
          </g>
        );
      })}
    </>
  );
}

/** The lengths of what is added, and the outline of the residual's. */
function Lengths({
  row,
  columns: { lengths },
  length,
  colours,
}: Pick<RowProps, 'row' | 'columns' | 'length' | 'colours'>) {
  const added = [
    { key: 'attention', value: row.attention, colour: 'var(--other)' },
    ...row.experts.map(({ expert, length: value }, rank) => ({ key: `${rank}`, value, colour: colours[expert] })),
  ];
  const thickness = (ROW - 8) / added.length;
  return (
    <>
      <rect class="residual" x={lengths.x} y={3.5} width={Math.max(1, length(row.residual))} height={ROW - 7} />
      {added.map(({ key, value, colour }, index) => (
        <rect
          key={key}
          x={lengths.x}
          y={4 + index * thickness}
          width={Math.max(0.5, length(value))}
          height={thickness}
          style={{ fill: colour }}
        />
      ))}
    </>
  );
}

/** The likeliest token with its probability as a bar, and a mark for the token that really follows. */
function PredictionBar({ row, columns: { prediction } }: Pick<RowProps, 'row' | 'columns'>) {
  const [first] = row.predictions;
  const across = scaleLinear([0, 1], [0, prediction.width]);
  return (
    <>
      <rect class="probability" x={prediction.x} y={4} width={across(first.probability)} height={ROW - 8} rx={3} />
      {row.next && (
        <rect class="next" x={prediction.x + across(row.next.probability) - 1} y={2} width={2} height={ROW - 4} />
      )}
      <text class="prediction" x={prediction.x + 5} y={17}>
        {shorten(visible(first.text), prediction.width)}
      </text>
      <text class="small" x={prediction.x + prediction.width - 4} y={17} text-anchor="end">
        {formatProbability(first.probability)}
      </text>
    </>
  );
}

/** What fits beside the percentage, at about 8 pixels per character. */
function shorten(text: string, width: number): string {
  const room = Math.max(3, Math.floor((width - 60) / 8));
  const line = text.replaceAll('\u200b', '').replace(/\n/g, '');
  return line.length > room ? `${line.slice(0, room - 1)}…` : line;
}
