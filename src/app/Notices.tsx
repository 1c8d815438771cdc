import type { ErrorData } from '../contract/errors.ts';
import { formatBytes, formatDuration } from '../ui/format.ts';
import { cancelImport, dismissProblem, reloadModel } from './controller.ts';
import { gpuProblem, loading, problem, type RunningImport, runningImport, updateReady } from './state.ts';

/** What goes on and what went wrong. */
export function Notices() {
  return (
    <div class="notices">
      {gpuProblem.value && <Problem error={gpuProblem.value} />}
      {problem.value && <Problem error={problem.value} onDismiss={dismissProblem} />}
      {runningImport.value && <ImportNotice running={runningImport.value} />}
      {loading.value && <LoadNotice />}
      {updateReady.value && (
        <p class="notice">
          A new version of mixtab is ready.{' '}
          <button type="button" onClick={updateReady.value}>
            Use it now
          </button>
        </p>
      )}
    </div>
  );
}

function Problem({ error: { code, message, remedy }, onDismiss }: { error: ErrorData; onDismiss?: () => void }) {
  return (
    <div class="notice problem" role="alert">
      <p>
        <strong>{message}</strong> {remedy}
      </p>
      <div class="row">
        {code === 'webgpu-device-lost' && (
          <button type="button" onClick={() => void reloadModel()}>
            Load the model again
          </button>
        )}
        {onDismiss && (
          <button type="button" class="quiet" aria-label="Dismiss" onClick={onDismiss}>
            ✕
          </button>
        )}
      </div>
    </div>
  );
}

function ImportNotice({ running: { name, progress, startedAt } }: { running: RunningImport }) {
  const done = progress?.phase === 'records' ? progress.bytesDone : 0;
  const total = progress?.bytesTotal ?? 0;
  const seconds = (performance.now() - startedAt) / 1000;
  const rate = done / seconds;
  return (
    <div class="notice">
      <p>
        Importing {name}
        {done > 0 && (
          <>
            : {formatBytes(done)} of {formatBytes(total)} · {formatBytes(rate)}/s · {progress?.recordsDone} of {progress?.recordsTotal}{' '}
            records · {formatDuration((total - done) / rate)} left
          </>
        )}
      </p>
      <progress aria-label={`Import of ${name}`} {...(total > 0 && done > 0 ? { value: done, max: total } : {})} />
      <button type="button" onClick={cancelImport}>
        Cancel
      </button>
    </div>
  );
}

function LoadNotice() {
  const { name, progress } = loading.value ?? { name: '', progress: undefined };
  const known = progress !== undefined && progress.bytesTotal > 0;
  return (
    <div class="notice">
      <p>Loading {name} …</p>
      <progress aria-label={`Loading ${name}`} {...(known ? { value: progress.bytesDone, max: progress.bytesTotal } : {})} />
    </div>
  );
}
