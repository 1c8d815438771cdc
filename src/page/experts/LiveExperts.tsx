import { type ExpertsReport, RESIDENCE } from '../../contract/engine-api.ts';
import { formatBytes } from '../../contract/format-bytes.ts';
import { useReport } from '../services/experts-report.ts';
import {
  cellTitle,
  hitSentence,
  layerFigures,
  newestName,
  streamedSentence,
  timeShares,
  whereSentence,
} from './figures.ts';
import { percent } from './routing.ts';

/** Where the experts are and what they do, while an answer is written too. */
export function LiveExperts() {
  const report = useReport();
  if (!report) return <p class="hint">The engine has not answered yet.</p>;
  return (
    <section class="live-experts" aria-label="Now">
      <p>{whereSentence(report)}</p>
      <Grid report={report} />
      <Legend newest={newestName(report)} />
      <Figures report={report} />
      <ByLayer report={report} />
    </section>
  );
}

const RESIDENCE_CLASS = { [RESIDENCE.store]: 'store', [RESIDENCE.ram]: 'ram', [RESIDENCE.gpu]: 'gpu' };

/** A row a layer, a cell an expert. The table below says the same in figures. */
function Grid({ report }: { report: ExpertsReport }) {
  const { layerCount, expertCount, residence, uses, newest } = report;
  const most = Math.max(
    1,
    uses.reduce((a, b) => Math.max(a, b), 0),
  );
  return (
    <div
      class="expert-grid"
      role="img"
      aria-label={`${layerCount} layers of ${expertCount} experts. ${whereSentence(report)}`}
      style={{ '--rows': layerCount, '--columns': expertCount }}
    >
      <span />
      {Array.from({ length: expertCount }, (_, expert) => (
        <b key={expert}>{expert}</b>
      ))}
      {Array.from({ length: layerCount }, (_, layer) => [
        <b key={layer}>{layer}</b>,
        ...Array.from({ length: expertCount }, (_, expert) => {
          const at = layer * expertCount + expert;
          return (
            <i
              key={at}
              class={`${RESIDENCE_CLASS[residence[at] as keyof typeof RESIDENCE_CLASS]}${newest[at] ? ' newest' : ''}`}
              style={{ '--use': uses[at] / most }}
              title={cellTitle(report, layer, expert)}
            />
          );
        }),
      ])}
    </div>
  );
}

function Legend({ newest }: { newest: string }) {
  return (
    <ul class="expert-legend" aria-label="Signs">
      <li>
        <i class="gpu" /> on the GPU
      </li>
      <li>
        <i class="ram" /> in main memory
      </li>
      <li>
        <i class="store" /> in the store only
      </li>
      <li>
        <i class="gpu newest" /> chosen by {newest}
      </li>
      <li>
        <i class="store used" /> line below: how often used
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
      <dd>{hitSentence(report)}</dd>
      <dt>Read from the store</dt>
      <dd>{streamedSentence(report)}</dd>
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
          'nothing was computed yet'
        )}
      </dd>
      <dt>Memory</dt>
      <dd>
        {formatBytes(memory.gpuBytes)} on the GPU, with room for {cache.slots} experts
        {memory.ramBytes > 0 && `; ${formatBytes(memory.ramBytes)} of experts in main memory`}
      </dd>
    </dl>
  );
}

function ByLayer({ report }: { report: ExpertsReport }) {
  return (
    <details class="by-layer">
      <summary>Layer by layer</summary>
      <table>
        <thead>
          <tr>
            <th scope="col">Layer</th>
            <th scope="col">On the GPU</th>
            <th scope="col">In main memory</th>
            <th scope="col">Chosen by {newestName(report)}</th>
            <th scope="col">Used most</th>
          </tr>
        </thead>
        <tbody>
          {layerFigures(report).map(({ gpu, ram, newest, busiest }, layer) => (
            <tr key={layer}>
              <th scope="row">{layer}</th>
              <td>{gpu}</td>
              <td>{ram}</td>
              <td>{newest.join(', ') || '–'}</td>
              <td>{busiest ? `${busiest.expert} (${percent(busiest.share, 0)})` : '–'}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}
