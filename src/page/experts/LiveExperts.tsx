import { type ComputeKind, type ExpertsReport, RESIDENCE } from '../../contract/engine-api.ts';
import { formatBytes } from '../../contract/format-bytes.ts';
import { useExpertsReport } from '../services/experts-report.ts';
import { RESIDENT_WHERE } from '../state/compute.ts';
import { loaded } from '../state/models.ts';
import {
  bytesReadText,
  expertTooltip,
  hitsText,
  latestName,
  layerFigures,
  RESIDENT,
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
      <p>{residenceSentence(report, kind)}</p>
      <Grid report={report} kind={kind} />
      <Legend latest={latestName(report)} kind={kind} />
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

/** The style of each kind of memory. */
const classesFor = (kind: ComputeKind): Record<number, string> => ({
  [RESIDENCE.store]: 'store',
  [RESIDENCE.ram]: 'ram',
  [RESIDENT[kind]]: 'resident',
});

/** One row per layer, one cell per expert. Screen readers get the table of `ByLayer` instead. */
function Grid({ report, kind }: Props) {
  const { layerCount, expertCount, residence, uses, newest } = report;
  const classes = classesFor(kind);
  const mostUses = Math.max(
    1,
    uses.reduce((a, b) => Math.max(a, b), 0),
  );
  return (
    <div
      class="expert-grid"
      role="img"
      aria-label={`${layerCount} layers of ${expertCount} experts. ${residenceSentence(report, kind)}`}
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
          const tier = classes[residence[index]];
          return (
            <i
              key={index}
              class={`${tier}${newest[index] ? ' latest' : ''}`}
              style={{ '--use': uses[index] / mostUses }}
              title={expertTooltip(report, kind, layer, expert)}
            />
          );
        }),
      ])}
    </div>
  );
}

function Legend({ latest, kind }: { latest: string; kind: ComputeKind }) {
  return (
    <ul class="expert-legend" aria-label="Legend">
      <li>
        <i class="resident" /> {RESIDENT_WHERE[kind]}
      </li>
      {kind === 'gpu' && (
        <li>
          <i class="ram" /> in RAM
        </li>
      )}
      <li>
        <i class="store" /> on disk only
      </li>
      <li>
        <i class="resident latest" /> selected by {latest}
      </li>
      <li>
        <i class="store used" /> line below: how often it is used
      </li>
    </ul>
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
