import type { ErrorData } from '../../contract/errors.ts';
import { IconButton } from '../../ui/IconButton.tsx';
import { dismissProblem } from '../services/problems.ts';
import { services } from '../services/services.ts';
import { lacksGpu } from '../state/compute.ts';
import { computeProblems, pendingLoads, probed } from '../state/models.ts';
import { loadOffer, problemRemedies } from '../state/no-model.ts';
import { problem } from '../state/notices.ts';
import { type Remedy, secureAddress } from '../state/remedies.ts';
import { changeSettings, settings } from '../state/settings.ts';
import { ProblemNotice } from './ProblemNotice.tsx';

/** Why no model can run in this browser, the newest error, and a way to load a model if there is none. */
export function ProblemNotices() {
  return (
    <>
      {computeProblems.value.length > 0 && <CannotCompute problems={computeProblems.value} />}
      {problem.value && <Problem error={problem.value} />}
      {loadOffer.value && <NoModel label={loadOffer.value} />}
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
      {problems.some(({ code }) => code === 'webgpu-insecure-context') ? (
        <OpenSecurely />
      ) : (
        <button type="button" disabled={pendingLoads.value > 0} onClick={() => void services.modelStore.loadAny()}>
          {pendingLoads.value > 0 ? 'Trying again' : 'Try again'}
        </button>
      )}
    </div>
  );
}

function OpenSecurely() {
  const address = secureAddress(location);
  return (
    address && (
      <button type="button" onClick={() => location.assign(address)}>
        Open over https
      </button>
    )
  );
}

/** An error, with buttons for what can be done about it at once. */
function Problem({ error: { code, message, remedy } }: { error: ErrorData }) {
  const actions = problemRemedies.value.length > 0 && problemRemedies.value.map(RemedyButton);
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

const RemedyButton = ({ label, changes, reloadsPage }: Remedy) => (
  <button
    type="button"
    key={label}
    onClick={() => (reloadsPage ? location.reload() : void services.answers.reloadAndResume(changes))}
  >
    {label}
  </button>
);

/** Shown while no model is loaded, unless another notice offers a way on. */
const NoModel = ({ label }: { label: string }) => (
  <div class="notice inline" role="status">
    <p>No model is loaded.</p>
    <button type="button" onClick={() => void services.modelStore.loadAny()}>
      {label}
    </button>
  </div>
);

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
