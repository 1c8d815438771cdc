import { type ErrorData, losesModel } from '../../contract/errors.ts';
import { IconButton } from '../../ui/IconButton.tsx';
import { dismissProblem } from '../services/problems.ts';
import { services } from '../services/services.ts';
import { computeKind, lacksGpu } from '../state/compute.ts';
import { heldBack } from '../state/load-mark.ts';
import { computeProblems, lastLoaded, loaded, probed, requestedId } from '../state/models.ts';
import { problem } from '../state/notices.ts';
import { remediesFor } from '../state/remedies.ts';
import { changeSettings, settings } from '../state/settings.ts';
import { ProblemNotice } from './ProblemNotice.tsx';

/** Why no model can run in this browser, and the newest error. */
export function ProblemNotices() {
  return (
    <>
      {computeProblems.value.length > 0 && <CannotCompute problems={computeProblems.value} />}
      {problem.value && <Problem error={problem.value} />}
    </>
  );
}

/** Shown for as long as neither the GPU nor the CPU can compute: both causes, and what to do about each. */
function CannotCompute({ problems }: { problems: readonly ErrorData[] }) {
  return (
    <div class="notice problem" role="alert">
      {problems.length > 1 && <p>No model can run in this browser as it is. One of these has to change:</p>}
      {problems.map(({ code, message, remedy }) => (
        <p key={code}>
          <strong>{message}</strong> {remedy}
        </p>
      ))}
    </div>
  );
}

/** An error, with buttons for what can be done about it at once. */
function Problem({ error }: { error: ErrorData }) {
  const { code, message, remedy } = error;
  const remedies = remediesFor(code, {
    settings: settings.value,
    lastLoaded: lastLoaded.value,
    modelId: requestedId.value,
    probed: probed.value,
    ...(heldBack.value && { heldBack: { kind: computeKind.value, megabytes: heldBack.value.megabytes } }),
    modelLost: losesModel(error) && loaded.value === undefined,
  });
  const actions = (remedies.length > 0 || code === 'worker-unavailable') && (
    <>
      {code === 'worker-unavailable' && (
        <button type="button" onClick={() => location.reload()}>
          Reload page
        </button>
      )}
      {remedies.map(({ label, changes }) => (
        <button type="button" key={label} onClick={() => void services.answers.reloadAndResume(changes)}>
          {label}
        </button>
      ))}
    </>
  );
  return (
    <ProblemNotice
      message={message}
      actions={actions}
      onDismiss={dismissProblem}
      isQuestion={code === 'loaded-elsewhere'}
    >
      {remedy}
    </ProblemNotice>
  );
}

/** Shown until it is dismissed: the CPU computes, because the browser offers no GPU. */
export function GpuHint() {
  const cause = probed.value?.gpuError;
  if (!lacksGpu.value || !cause || settings.value.gpuHintDismissed) return null;
  return (
    <div class="notice inline minor" role="status">
      <p>
        Computing on the CPU. A GPU would be faster. {cause.message} {cause.remedy}
      </p>
      <IconButton icon="close" label="Dismiss" onClick={() => changeSettings({ gpuHintDismissed: true })} />
    </div>
  );
}
