import { type ExpertsReport, RESIDENCE } from '../../contract/engine-api.ts';
import { formatBytes } from '../../contract/format-bytes.ts';
import { useExpertsReport } from '../services/experts-report.ts';
import {
  bytesReadText,
  expertTooltip,
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
  if (!report) return <p class="hint">Waiting for the engine …</p>;
  return (
    <section class="live-experts" aria-label="Live">
      <p>{residenceSentence(report)}</p>
      <Grid report={report} />
      <Legend latest={latestName(report)} />
      <Figures report={report} />
      <ByLayer report={report} />
    </section>
  );
}

const RESIDENCE_CLASS = { [RESIDENCE.store]: 'store', [RESIDENCE.ram]: 'ram', [RESIDENCE.gpu]: 'gpu' };

/** One row per layer, one cell per expert. Screen readers get the table of `ByLayer` instead. */
function Grid({ report }: { report: ExpertsReport }) {
  const { layerCount, expertCount, residence, uses, newest } = report;
  const mostUses = Math.max(
    1,
    uses.reduce((a, b) => Math.max(a, b), 0),
  );
  return (
    <div
      class="expert-grid"
      role="img"
      aria-label={`${layerCount} layers of ${expertCount} experts. ${residenceSentence(report)}`}
      style={{ '--rows': layerCount, '--columns': expertCount }}
    >
      <span />
      {Array.from({ length: expertCount }, (_, expert) => (
        <b key={expert}>{expert}</b>
      ))}
      {Array.from({ length: layerCount }, (_, layer) => [
        <b key={layer}>{layer}</b>,
        ...Array.from({ length: expertCount }, (_, expert) => {
          const index = layer * expertCount + expert;
          const tier = RESIDENCE_CLASS[residence[index] as keyof typeof RESIDENCE_CLASS];
          return (
            <i
              key={index}
              class={`${tier}${newest[index] ? ' latest' : ''}`}
              style={{ '--use': uses[index] / mostUses }}
              title={expertTooltip(report, layer, expert)}
            />
          );
        }),
      ])}
    </div>
  );
}

function Legend({ latest }: { latest: string }) {
  return (
    <ul class="expert-legend" aria-label="Legend">
      <li>
        <i class="gpu" /> on the GPU
      </li>
      <li>
        <i class="ram" /> in RAM
      </li>
      <li>
        <i class="store" /> on disk only
      </li>
      <li>
        <i class="gpu latest" /> selected by {latest}
      </li>
      <li>
        <i class="store used" /> line below: how often it is used
      </li>
    </ul>
  );
}

function Figures({ report }: { report: ExpertsReport }) {
  const { memory, elapsedMs, cache } = report;
  const times = timeShares(report);
  return (
    <dl class="expert-figures">
      <dt>Hits</dt>
      <dd>{hitsText(report)}</dd>
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
        {formatBytes(memory.gpuBytes)} on the GPU, with room for {cache.slots} experts
        {memory.ramBytes > 0 && `; ${formatBytes(memory.ramBytes)} of experts in RAM`}
      </dd>
    </dl>
  );
}

function ByLayer({ report }: { report: ExpertsReport }) {
  return (
    <details class="by-layer">
      <summary>By layer</summary>
      <table>
        <thead>
          <tr>
            <th scope="col">Layer</th>
            <th scope="col">On the GPU</th>
            <th scope="col">In RAM</th>
            <th scope="col">Selected by {latestName(report)}</th>
            <th scope="col">Most used</th>
          </tr>
        </thead>
        <tbody>
          {layerFigures(report).map(({ gpu, ram, latest, busiest }, layer) => (
            <tr key={layer}>
              <th scope="row">{layer}</th>
              <td>{gpu}</td>
              <td>{ram}</td>
              <td>{latest.join(', ') || '–'}</td>
              <td>{busiest ? `${busiest.expert} (${percent(busiest.share, 0)})` : '–'}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}
