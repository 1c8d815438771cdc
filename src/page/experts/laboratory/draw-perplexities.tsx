import { scaleLog } from 'd3-scale';
import { BottomAxis, type Tick } from '../figure/axes.tsx';
import type { DrawnFigure } from '../figure/Figure.tsx';
import { barWords, changeText, type LabBar, perplexityText } from './results.ts';

const LABEL = 20;
const BAR = 16;
const ROW = LABEL + BAR + 10;
/** The axis below the bars, with its title. */
const AXIS = 44;
const SIDE = 14;
/** Closer ticks get no label. */
const TICK_GAP = 44;
/** About the width of a letter of a label. */
const LETTER = 6.9;

/**
 * Draws one bar per model, on a logarithmic scale, from the original model's perplexity: to the right if the change
 * makes the model worse. So equal lengths are equal factors. Lines are 95% intervals of the difference.
 */
export function drawPerplexities(bars: readonly LabBar[], width: number): DrawnFigure {
  const original = bars.find(({ change }) => !change)!.perplexity;
  const ends = bars.flatMap(({ perplexity, change: { low = 0, high = 0 } = { change: 0 } }) => [
    perplexity,
    original * (1 + low),
    original * (1 + high),
  ]);
  const x = scaleLog([Math.min(...ends) / 1.03, Math.max(...ends, 1.2 * original) * 1.03], [SIDE, width - SIDE]);
  const bottom = bars.length * ROW;
  return {
    height: bottom + AXIS,
    marks: bars.map((bar, row) => ({
      x: x(bar.perplexity),
      y: row * ROW + LABEL + BAR / 2,
      text: barWords(bar),
    })),
    shapes: (
      <>
        <BottomAxis
          ticks={ticksOf(x)}
          position={bottom}
          grid={[0, bottom]}
          title="perplexity (lower is better)"
          titleAt={width / 2}
        />
        {bars.map((bar, row) => (
          <Row key={bar.score.model.key} {...{ bar, width, original, x }} top={row * ROW} />
        ))}
      </>
    ),
  };
}

interface RowProps {
  bar: LabBar;
  top: number;
  width: number;
  original: number;
  x: (perplexity: number) => number;
}

function Row({ bar, top, width, original, x }: RowProps) {
  const { name, perplexity, change } = bar;
  const [zero, end] = [x(original), x(perplexity)];
  const middle = top + LABEL + BAR / 2;
  const value = [perplexityText(perplexity), changeText(bar)].filter(Boolean).join(' · ');
  return (
    <g>
      <text class="bar-label" x={0} y={top + 14}>
        {fitted(name, Math.floor(width / LETTER) - value.length - 2)}
      </text>
      <text class="bar-label" x={width} y={top + 14} text-anchor="end">
        {value}
      </text>
      <line class="expected" x1={zero} x2={zero} y1={top + LABEL - 1} y2={top + ROW - 5} />
      {change ? (
        <rect
          class="bar pale series-0"
          x={Math.min(zero, end)}
          y={top + LABEL}
          width={Math.max(1, Math.abs(end - zero))}
          height={BAR}
        />
      ) : (
        <circle class="dot filled series-0" cx={zero} cy={middle} r={5} />
      )}
      {change?.low !== undefined && (
        <line
          class="interval"
          x1={x(original * (1 + change.low))}
          x2={x(original * (1 + change.high!))}
          y1={middle}
          y2={middle}
        />
      )}
    </g>
  );
}

/** @returns a text, cut if it is longer than `letters` */
const fitted = (text: string, letters: number): string =>
  text.length <= letters ? text : `${text.slice(0, Math.max(1, letters - 1)).trimEnd()}…`;

/** Ticks at round numbers that are not too close to each other. */
function ticksOf(x: ReturnType<typeof scaleLog<number>>): Tick[] {
  const [low, high] = x.domain();
  const round = x.ticks().filter((value) => /^[125]0*$/.test(String(value)));
  const candidates = round.length >= 3 || high / low > 20 ? round : x.ticks(5);
  const ticks: Tick[] = [];
  for (const value of candidates) {
    const at = x(value);
    if (ticks.length === 0 || at - ticks.at(-1)!.at >= TICK_GAP) ticks.push({ at, label: String(value) });
  }
  return ticks;
}
