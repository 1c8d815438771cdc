import type { ComputeKind, ExpertsReport } from '../../contract/engine-api.ts';
import { formatBytes } from '../../contract/format-bytes.ts';
import { useExpertsReport } from '../services/experts-report.ts';
import { loaded } from '../state/models.ts';
import { drawExperts, ExpertLegend } from './draw-experts.tsx';
import { Figure } from './figure/Figure.tsx';
import {
  bytesReadText,
  expertsTable,
  hitsText,
  latestName,
  layerFigures,
  residenceSentence,
  timeShares,
} from './figures.ts';
import { percent } from './routing.ts';

/** Where the experts are and how they are used. It updates while an answer is generated. */
export function LiveExperts() {
  const report = useExpertsReport();
  const kind = loaded.value?.compute.kind ?? 'gpu';
  if (!report) return <p class="hint">Waiting for the engine …</p>;
  return (
    <section class="live-experts" aria-label="Live">
      <Grid report={report} kind={kind} />
      <Figures report={report} kind={kind} />
      <ByLayer report={report} kind={kind} />
    </section>
  );
}

interface Props {
  report: ExpertsReport;
  /** What computes. */
  kind: ComputeKind;
}

/** A row per layer with a cell per expert. */
function Grid({ report, kind }: Props) {
  return (
    <Figure
      title="Where the experts are"
      name="mixtab-experts"
      table={() => expertsTable(report, kind)}
      draw={(width) => drawExperts(report, kind, width)}
      legend={<ExpertLegend kind={kind} latest={latestName(report)} />}
      link={() => ({ href: new URL('#experts', location.href).href })}
    >
      <span>{residenceSentence(report, kind)}</span> Each row is a layer, and each cell one of its experts.
    </Figure>
  );
}

function Figures({ report, kind }: Props) {
  const { memory, elapsedMs, cache } = report;
  const times = timeShares(report, kind);
  return (
    <dl class="expert-figures">
      <dt>Hits</dt>
      <dd>{hitsText(report, kind)}</dd>
      <dt>Read from disk</dt>
      <dd>{bytesReadText(report)}</dd>
      <dt>Time</dt>
      <dd>
        {elapsedMs > 0 ? (
          <>
            <div class="time-bar" aria-hidden="true">
              {times.map(({ name, share }) => (
                <span key={name} class={name} style={{ width: `${100 * share}%` }} />
              ))}
            </div>
            {(elapsedMs / 1000).toFixed(1)} s:{' '}
            {times.map(({ label, share }) => `${label} ${percent(share, 0)}`).join(', ')}
            {cache.stalls > 0 && `; ${cache.stalls} tokens waited for an expert`}
          </>
        ) : (
          'nothing computed yet'
        )}
      </dd>
      <dt>Memory</dt>
      <dd>
        {kind === 'gpu' ? `${formatBytes(memory.gpuBytes)} on the GPU` : formatBytes(memory.ramBytes)}, with room for{' '}
        {cache.slots} experts
        {kind === 'gpu' && memory.ramBytes > 0 && `; ${formatBytes(memory.ramBytes)} of experts in RAM`}
      </dd>
    </dl>
  );
}

function ByLayer({ report, kind }: Props) {
  return (
    <details class="by-layer">
      <summary>By layer</summary>
      <table>
        <thead>
          <tr>
            <th scope="col">Layer</th>
            <th scope="col">{kind === 'gpu' ? 'On the GPU' : 'In memory'}</th>
            {kind === 'gpu' && <th scope="col">In RAM</th>}
            <th scope="col">Selected by {latestName(report)}</th>
            <th scope="col">Most used</th>
          </tr>
        </thead>
        <tbody>
          {layerFigures(report, kind).map(({ resident, ram, latest, busiest }, layer) => (
            <tr key={layer}>
              <th scope="row">{layer}</th>
              <td>{resident}</td>
              {kind === 'gpu' && <td>{ram}</td>}
              <td>{latest.join(', ') || '–'}</td>
              <td>{busiest ? `${busiest.expert} (${percent(busiest.share, 0)})` : '–'}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}
