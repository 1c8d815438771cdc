import { scaleLinear, scaleLog } from 'd3-scale';
import { area, line } from 'd3-shape';
import type { CurvePoint } from '../../state/paper.ts';
import { BottomAxis, LeftAxis } from '../figure/axes.tsx';
import type { DrawnFigure } from '../figure/Figure.tsx';
import { interval } from './curve.ts';

const HEIGHT = 300;
const MARGIN = { top: 26, right: 14, bottom: 42, left: 44 };

/** Draws perplexity against context length, on a logarithmic scale of lengths, with the 95% interval as a band. */
export function drawCurve(points: readonly CurvePoint[], width: number): DrawnFigure {
  const ranges = points.map((point) => interval(point) ?? [point.perplexity, point.perplexity]);
  const lengths = points.map(({ context }) => context);
  const [left, right] = [MARGIN.left, width - MARGIN.right];
  const [top, bottom] = [MARGIN.top, HEIGHT - MARGIN.bottom];
  const x = scaleLog([lengths[0], Math.max(lengths.at(-1)!, 2 * lengths[0])], [left + 12, right - 12]);
  const y = scaleLinear([Math.min(...ranges.flat()), Math.max(...ranges.flat())], [bottom, top]).nice(5);
  const band = area<[number, number]>(
    (_, i) => x(lengths[i]),
    ([low]) => y(low),
    ([, high]) => y(high),
  );
  const path = line<CurvePoint>(
    ({ context }) => x(context),
    ({ perplexity }) => y(perplexity),
  );
  const every = Math.ceil(points.length / Math.max(1, Math.floor((right - left) / 46)));
  return {
    height: HEIGHT,
    marks: points.map((point, i) => ({
      x: x(point.context),
      y: y(point.perplexity),
      text: `${point.context} tokens of context: perplexity ${point.perplexity.toFixed(2)}, 95% interval ${ranges[i]
        .map((end) => end.toFixed(2))
        .join(' to ')}.`,
    })),
    shapes: (
      <>
        <BottomAxis
          ticks={lengths.filter((_, i) => i % every === 0).map((length) => ({ at: x(length), label: String(length) }))}
          position={bottom}
          grid={[top, bottom]}
          title="tokens of context"
          titleAt={(left + right) / 2}
        />
        <LeftAxis
          ticks={y.ticks(5).map((value) => ({ at: y(value), label: y.tickFormat(5)(value) }))}
          position={left}
          grid={[left, right]}
          title="perplexity (lower is better)"
          titleAt={12}
        />
        <path class="curve-band" d={band(ranges as [number, number][]) ?? ''} />
        <path class="curve-line" d={path(points as CurvePoint[]) ?? ''} />
        {points.map((point) => (
          <circle key={point.context} class="curve-dot" cx={x(point.context)} cy={y(point.perplexity)} r={4} />
        ))}
      </>
    ),
  };
}
