import { scaleLinear } from 'd3-scale';
import { formatBytes } from '../../../contract/format-bytes.ts';
import { formatCount } from '../../../ui/format.ts';
import type { DrawnFigure, Mark } from '../figure/Figure.tsx';
import { percent } from '../routing.ts';
import { type Costs, type Counting, PART_NAMES } from './counting.ts';

const BAR = 26;
const LABEL = 20;
const ROW = LABEL + BAR + 16;

/** Draws where the parameters are: one bar for all stored ones, one for those that a token uses, to the same scale. */
export function drawParts({ parts, stored, active }: Counting, width: number): DrawnFigure {
  const x = scaleLinear([0, stored], [0, width - 2]);
  const marks: Mark[] = [];
  const bars = (['stored', 'active'] as const).map((key, row) => {
    const total = key === 'stored' ? stored : active;
    let before = 0;
    const segments = parts.map((count, part) => {
      const from = x(before);
      before += count[key];
      const share = percent(count[key] / total);
      marks.push({
        x: (from + x(before)) / 2,
        y: row * ROW + LABEL + BAR / 2,
        text: `${PART_NAMES[count.part]}: ${formatCount(count[key])} of ${formatCount(total)} ${key} parameters, ${share}.`,
      });
      return (
        <rect
          key={count.part}
          class={`bar series-${part % 7}`}
          x={from}
          y={row * ROW + LABEL}
          width={Math.max(0.5, x(before) - from)}
          height={BAR}
        />
      );
    });
    const label = key === 'stored' ? 'Stored' : 'Active: used by one token';
    return (
      <g key={key}>
        <text class="bar-label" x={0} y={row * ROW + 14}>
          {label}: {formatCount(total)}
        </text>
        {segments}
      </g>
    );
  });
  return { height: 2 * ROW, marks, shapes: bars };
}

const PANELS = [
  ['memory', 'Memory for the weights', formatBytes],
  ['operations', 'Operations per token', (count: number) => operationsText(count)],
] as const;

/** Draws the memory and the operations of three models, each to its own scale. */
export function drawCosts(costs: readonly Costs[], width: number): DrawnFigure {
  const panelHeight = 26 + costs.length * (LABEL + 16 + 8) + 12;
  const marks: Mark[] = [];
  const panels = PANELS.map(([key, title, textOf], panel) => {
    const top = panel * panelHeight;
    const x = scaleLinear([0, Math.max(...costs.map((cost) => cost[key]))], [0, width - 2]);
    return (
      <g key={key}>
        <text class="group-title" x={0} y={top + 14}>
          {title}
        </text>
        {costs.map((cost, row) => {
          const y = top + 26 + row * (LABEL + 16 + 8);
          marks.push({
            x: x(cost[key]) / 2,
            y: y + LABEL + 8,
            text: `${cost.name}, ${formatCount(cost.parameters)} parameters: ${title.toLowerCase()}: ${textOf(cost[key])}.`,
          });
          return (
            <g key={cost.name}>
              <text class="bar-label" x={0} y={y + 14}>
                {cost.name}: {textOf(cost[key])}
              </text>
              <rect class={`bar series-${row}`} x={0} y={y + LABEL} width={Math.max(1, x(cost[key]))} height={16} />
            </g>
          );
        })}
      </g>
    );
  });
  return { height: PANELS.length * panelHeight, marks, shapes: panels };
}

/** @returns a count of operations such as `25.5 G` */
export function operationsText(count: number): string {
  return count >= 1e9 ? `${(count / 1e9).toFixed(1)} billion` : `${(count / 1e6).toFixed(1)} million`;
}
