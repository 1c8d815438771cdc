/** Measures this GPU: a button, the figures as they come, and a report to copy. */
import type { ComponentChildren } from 'preact';
import type { MeasureReport, MeasureRow, MeasureStep } from '../../contract/measure-api.ts';
import { CopyButton } from '../../ui/CopyButton.tsx';
import { measureGpu, stopMeasuring } from '../services/measure.ts';
import { report } from '../services/problems.ts';
import { services } from '../services/services.ts';
import { measureReport, measuring, stoppingMeasurement } from '../state/measurement.ts';
import { loaded } from '../state/models.ts';
import { formatFigure, formatShare } from './figures.ts';
import '../../ui/css/measure.css';

export function MeasureView({ notices }: { notices: ComponentChildren }) {
  const measured = measureReport.value;
  return (
    <main class="scroll measure" id="main" tabIndex={-1}>
      <div class="column wide">
        <h1>Measure this GPU</h1>
        <p class="hint">
          How fast this GPU runs mixtab: its memory, its arithmetic, each kernel, and a synthetic Mixtral of four
          layers. It takes up to four minutes and 4 GB of GPU memory. Nothing is sent anywhere. If you report a problem
          with speed, copy the report into it.
        </p>
        {loaded.value?.compute.kind === 'gpu' && <ModelOnGpu name={loaded.value.summary.name} />}
        {notices}
        <p class="measure-actions">
          {measuring.value ? (
            <button type="button" disabled={stoppingMeasurement.value} onClick={stopMeasuring}>
              {stoppingMeasurement.value ? 'Stopping' : 'Stop'}
            </button>
          ) : (
            <button type="button" class="primary" onClick={() => void measureGpu()}>
              {measured ? 'Measure again' : 'Measure'}
            </button>
          )}
          {measured && !measuring.value && (
            <>
              <CopyButton text={() => JSON.stringify(measured, null, 1)} label="Copy the report" /> Copy the report as
              JSON
            </>
          )}
        </p>
        {measured && <Report report={measured} />}
      </div>
    </main>
  );
}

const ModelOnGpu = ({ name }: { name: string }) => (
  <p class="hint">
    {name} is loaded and takes GPU memory. For exact figures,{' '}
    <button type="button" class="link" onClick={() => void services.modelLoader.unload().catch(report)}>
      unload it
    </button>{' '}
    first.
  </p>
);

function Report({ report }: { report: MeasureReport }) {
  return (
    <>
      {report.options.tiny && (
        <p class="notice">
          This adapter is software, so only small sizes were measured. The figures say nothing about a GPU.
        </p>
      )}
      {report.correct === false && (
        <p class="notice problem" role="alert">
          <strong>This GPU computes wrong values.</strong> Update the graphics driver and the browser, or choose the CPU
          in the settings. Please report the figures below.
        </p>
      )}
      {report.steps.map((step) => (
        <Step key={step.id} step={step} />
      ))}
    </>
  );
}

const STATUS: Record<MeasureStep['status'], string> = {
  running: 'running …',
  done: '',
  cut: 'not finished',
  skipped: 'skipped',
  failed: 'failed',
};

function Step({ step: { title, status, rows, problem } }: { step: MeasureStep }) {
  return (
    <details open={status === 'running' || status === 'failed'}>
      <summary>
        {title} <small>{STATUS[status]}</small>
      </summary>
      {problem && <p class="hint">{problem}</p>}
      {rows.length > 0 && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling element must be reachable by keyboard
        <section class="table-scroll" tabIndex={0} aria-label={title}>
          <table>
            <thead>
              <tr>
                <th scope="col">What</th>
                <th scope="col">Figure</th>
                <th scope="col">Of the most possible</th>
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => (
                <Row key={`${row.name} ${row.variant}`} row={row} />
              ))}
            </tbody>
          </table>
        </section>
      )}
    </details>
  );
}

const Row = ({ row }: { row: MeasureRow }) => (
  <tr>
    <th scope="row">
      {row.name} {row.variant && <small>{row.variant}</small>}
    </th>
    {row.text ? (
      <td colSpan={2}>{row.text}</td>
    ) : (
      <>
        <td>{formatFigure(row)}</td>
        <td>{formatShare(row)}</td>
      </>
    )}
  </tr>
);
