import { scaleLinear } from 'd3-scale';
import { line } from 'd3-shape';
import { BottomAxis, LeftAxis } from '../figure/axes.tsx';
import type { DrawnFigure } from '../figure/Figure.tsx';
import { percent } from '../routing.ts';
import type { RepeatPoint } from './specialisation.ts';

/** The repeats of one text. */
interface Line {
  name: string;
  points: RepeatPoint[];
}

const HEIGHT = 320;
const MARGIN = { top: 26, right: 14, bottom: 42, left: 44 };
/** Closer layers get no labels of their own. */
const LABEL_WIDTH = 28;

/** Draws one line per text over the layers, with intervals, and a dashed line for what chance gives. */
export function drawRepeats(lines: readonly Line[], chance: number, width: number): DrawnFigure {
  const layers = lines[0].points.length;
  const [left, right] = [MARGIN.left, width - MARGIN.right];
  const [top, bottom] = [MARGIN.top, HEIGHT - MARGIN.bottom];
  const ends = lines.flatMap(({ points }) => points.map(({ share, high }) => high ?? share));
  const x = scaleLinear([0, Math.max(1, layers - 1)], [left + 16, right - 16]);
  const y = scaleLinear([0, Math.max(chance, ...ends)], [bottom, top]).nice(5);
  // Texts are side by side within a layer, so that their intervals do not cover each other.
  const step = Math.min(5, (x(1) - x(0)) / (lines.length + 1));
  const at = (layer: number, text: number): number => x(layer) + (text - (lines.length - 1) / 2) * step;
  const path = (text: number) =>
    line<RepeatPoint>(
      ({ layer }) => at(layer, text),
      ({ share }) => y(share),
    );
  const every = Math.ceil(LABEL_WIDTH / (x(1) - x(0)));
  return {
    height: HEIGHT,
    marks: lines.flatMap(({ name, points }, text) =>
      points.map((point) => ({ x: at(point.layer, text), y: y(point.share), text: repeatWords(name, point, chance) })),
    ),
    shapes: (
      <>
        <BottomAxis
          ticks={Array.from({ length: Math.ceil(layers / every) }, (_, i) => ({
            at: x(i * every),
            label: String(i * every),
          }))}
          position={bottom}
          grid={[top, bottom]}
          title="layer"
          titleAt={(left + right) / 2}
        />
        <LeftAxis
          ticks={y.ticks(5).map((value) => ({ at: y(value), label: percent(value, 0) }))}
          position={left}
          grid={[left, right]}
          title="consecutive tokens that repeat"
          titleAt={12}
        />
        <line class="expected" x1={left} x2={right} y1={y(chance)} y2={y(chance)} />
        {lines.map(({ name, points }, text) => (
          <g key={name}>
            <path class={`series-line series-${text % 7}`} d={path(text)(points) ?? ''} />
            {points.map((point) => (
              <RepeatDot key={point.layer} point={point} text={text} x={at(point.layer, text)} y={y} />
            ))}
          </g>
        ))}
      </>
    ),
  };
}

interface RepeatDotProps {
  point: RepeatPoint;
  /** Index of the text. */
  text: number;
  x: number;
  y: (share: number) => number;
}

function RepeatDot({ point: { share, low, high }, text, x, y }: RepeatDotProps) {
  return (
    <>
      {low !== undefined && <line class={`whisker series-${text % 7}`} x1={x} x2={x} y1={y(low)} y2={y(high!)} />}
      <circle class={`dot filled series-${text % 7}`} cx={x} cy={y(share)} r={3} />
    </>
  );
}

function repeatWords(name: string, { layer, share, low, high, random }: RepeatPoint, chance: number): string {
  const range = low === undefined ? '' : ` (95% interval ${percent(low)} to ${percent(high!)})`;
  return (
    `${name}, layer ${layer}: ${percent(share)} of consecutive tokens repeat${range}. ` +
    `Chance would give ${percent(chance)}, the text in random order ${percent(random)}.`
  );
}
