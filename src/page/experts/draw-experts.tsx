import { type ComputeKind, type ExpertsReport, RESIDENCE } from '../../contract/engine-api.ts';
import { RESIDENT_WHERE } from '../state/compute.ts';
import type { DrawnFigure } from './figure/Figure.tsx';
import { expertText, RESIDENT } from './figures.ts';

/** Room for the numbers of layers on the left and of experts above. */
const LABELS = { left: 26, top: 18 };
/** Room below a cell, with the line that shows its use. */
const LINE = 5;
/** How high the cells of all layers are together, if a cell does not become too low or too high. */
const HEIGHT = 320;
const CELL = { least: 9, most: 24, widest: 54 };
/** Width of an expert's number. */
const NUMBER_WIDTH = 16;

/** Where an expert is: the style of its cell. */
type Tier = 'resident' | 'ram' | 'store';

const tierOf = (residence: number, kind: ComputeKind): Tier =>
  residence === RESIDENT[kind] ? 'resident' : residence === RESIDENCE.ram ? 'ram' : 'store';

/** Draws a row per layer with a cell per expert: where it is, whether it was selected last, and how often it is used. */
export function drawExperts(report: ExpertsReport, kind: ComputeKind, width: number): DrawnFigure {
  const { layerCount, expertCount, residence, uses, newest } = report;
  const step = Math.min(CELL.widest, (width - LABELS.left) / expertCount);
  const cell = {
    width: step - Math.min(4, step / 4),
    height: Math.min(CELL.most, Math.max(CELL.least, HEIGHT / layerCount)),
  };
  const mostUses = uses.reduce((most, count) => Math.max(most, count), 1);
  const at = (index: number) => ({
    x: LABELS.left + (index % expertCount) * step,
    y: LABELS.top + Math.floor(index / expertCount) * (cell.height + LINE),
  });
  const every = Math.ceil(NUMBER_WIDTH / step);
  const experts = [...residence];
  return {
    height: LABELS.top + layerCount * (cell.height + LINE),
    marks: experts.map((_, index) => ({
      x: at(index).x + cell.width / 2,
      y: at(index).y + cell.height / 2,
      text: `${expertText(report, kind, Math.floor(index / expertCount), index % expertCount)}.`,
    })),
    shapes: (
      <g class="expert-map">
        {Array.from({ length: Math.ceil(expertCount / every) }, (_, i) => (
          <text key={i} x={at(i * every).x + cell.width / 2} y={11} text-anchor="middle">
            {i * every}
          </text>
        ))}
        {Array.from({ length: layerCount }, (_, layer) => (
          <text key={layer} x={18} y={at(layer * expertCount).y + cell.height / 2 + 4} text-anchor="end">
            {layer}
          </text>
        ))}
        {experts.map((tier, index) => (
          <Cell
            key={index}
            {...at(index)}
            {...cell}
            tier={tierOf(tier, kind)}
            latest={newest[index] > 0}
            use={uses[index] / mostUses}
          />
        ))}
      </g>
    ),
  };
}

interface CellProps {
  x: number;
  y: number;
  width: number;
  height: number;
  tier: Tier;
  /** Whether the latest token selected the expert. */
  latest?: boolean;
  /** How often it is used, as a share of the most used one. */
  use?: number;
}

function Cell({ x, y, width, height, tier, latest = false, use = 0 }: CellProps) {
  const radius = Math.min(3, 0.22 * height, 0.22 * width);
  return (
    <g class={latest ? `cell ${tier} latest` : `cell ${tier}`} transform={`translate(${x} ${y})`}>
      <rect class="box" x={0.5} y={0.5} width={Math.max(1, width - 1)} height={height - 1} />
      {tier === 'ram' && <path class="hatch" d={hatch(width, height)} />}
      {latest && <circle cx={width / 2} cy={height / 2} r={radius} />}
      {use > 0 && <rect class="use" y={height + 1} width={use * width} height={2} />}
    </g>
  );
}

/** Diagonal lines in a box. */
function hatch(width: number, height: number): string {
  let path = '';
  for (let from = 5 - height; from < width; from += 5) {
    const [left, right] = [Math.max(0, from), Math.min(width, from + height)];
    path += `M${left} ${height - (left - from)}L${right} ${height - (right - from)}`;
  }
  return path;
}

/** What the cells look like. */
export function ExpertLegend({ kind, latest }: { kind: ComputeKind; latest: string }) {
  const entries: [Omit<CellProps, 'x' | 'y' | 'width' | 'height'>, string][] = [
    [{ tier: 'resident' }, RESIDENT_WHERE[kind]],
    ...(kind === 'gpu' ? [[{ tier: 'ram' }, 'in RAM'] as [{ tier: Tier }, string]] : []),
    [{ tier: 'store' }, 'on disk only'],
    [{ tier: 'resident', latest: true }, `selected by ${latest}`],
    [{ tier: 'store', use: 1 }, 'line below: how often it is used, compared with the most used one'],
  ];
  return (
    <ul class="expert-legend" aria-label="Legend">
      {entries.map(([look, words]) => (
        <li key={words}>
          <svg width={20} height={16} aria-hidden="true">
            <Cell x={0} y={0} width={20} height={12} {...look} />
          </svg>{' '}
          {words}
        </li>
      ))}
    </ul>
  );
}
