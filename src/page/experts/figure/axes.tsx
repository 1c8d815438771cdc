/** Axes of figures, as SVG elements. */

/** A position along an axis with its label. */
export interface Tick {
  at: number;
  label: string;
}

interface AxisProps {
  ticks: readonly Tick[];
  /** Where the axis is: the y of a horizontal axis, the x of a vertical one. */
  position: number;
  /** Begin and end of the lines that cross the figure at each tick. */
  grid: readonly [number, number];
  /** What the axis shows. */
  title: string;
  /** Where the title is. */
  titleAt: number;
}

/** A horizontal axis below the figure. */
export function BottomAxis({ ticks, position, grid: [top, bottom], title, titleAt }: AxisProps) {
  return (
    <g class="axis">
      {ticks.map(({ at, label }) => (
        <g key={label}>
          <line class="grid" x1={at} x2={at} y1={top} y2={bottom} />
          <text x={at} y={position + 16} text-anchor="middle">
            {label}
          </text>
        </g>
      ))}
      <text x={titleAt} y={position + 34} text-anchor="middle" class="axis-title">
        {title}
      </text>
    </g>
  );
}

/** A vertical axis at the left. Its title is above it, so that it reads without turning the head. */
export function LeftAxis({ ticks, position, grid: [left, right], title, titleAt }: AxisProps) {
  return (
    <g class="axis">
      {ticks.map(({ at, label }) => (
        <g key={label}>
          <line class="grid" x1={left} x2={right} y1={at} y2={at} />
          <text x={position - 6} y={at + 4} text-anchor="end">
            {label}
          </text>
        </g>
      ))}
      <text x={0} y={titleAt} class="axis-title">
        {title}
      </text>
    </g>
  );
}
