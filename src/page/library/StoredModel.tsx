import { useState } from 'preact/hooks';
import { formatBytes } from '../../contract/format-bytes.ts';
import type { ModelSummary } from '../../contract/import-api.ts';
import { formatCount } from '../../ui/format.ts';
import { isBuiltin } from '../services/builtin-model.ts';
import { services } from '../services/services.ts';
import { runningImport } from '../state/imports.ts';
import { loaded, loading } from '../state/models.ts';
import { settings } from '../state/settings.ts';
import { ModelDetails } from './ModelDetails.tsx';

const DAMAGED = 'Damaged: some data differs from what was imported.';
const INTACT = 'Verified: all data is intact.';

/** A model on this device, with what can be done with it. */
export function StoredModel({ model }: { model: ModelSummary }) {
  const [confirming, setConfirming] = useState(false);
  const [verdict, setVerdict] = useState('');
  const inUse = loaded.value?.summary.id === model.id;
  return (
    <li class="card">
      <div class="card-text">
        <h3>
          {model.name}
          {inUse && <em>in use</em>}
          {model.state !== 'complete' && <em class="bad">{model.state}</em>}
        </h3>
        <p class="hint">
          {isBuiltin(model) ? 'A very small storyteller that comes with this page. ' : ''}
          {factsOf(model)}
        </p>
        <ModelDetails model={model} />
        {verdict && (
          <p class="hint" role="status">
            {verdict}
          </p>
        )}
      </div>
      {confirming ? (
        <ConfirmDelete model={model} onDone={() => setConfirming(false)} />
      ) : (
        <Actions model={model} verdict={verdict} onVerdict={setVerdict} onDelete={() => setConfirming(true)} />
      )}
    </li>
  );
}

function ConfirmDelete({ model, onDone }: { model: ModelSummary; onDone: () => void }) {
  return (
    <div class="row">
      <span>Delete it and free {formatBytes(model.storedBytes)}?</span>
      <button type="button" class="bad" onClick={() => void services.modelStore.remove(model).then(onDone)}>
        Delete {model.name}
      </button>
      <button type="button" class="quiet" onClick={onDone}>
        Cancel
      </button>
    </div>
  );
}

interface ActionsProps {
  model: ModelSummary;
  /** Result of the last check; empty if there was none. */
  verdict: string;
  onVerdict: (verdict: string) => void;
  onDelete: () => void;
}

function Actions({ model, verdict, onVerdict, onDelete }: ActionsProps) {
  const { name } = model;
  const inUse = loaded.value?.summary.id === model.id;
  const busy = runningImport.value !== undefined || loading.value !== undefined;
  const verify = async (): Promise<void> => {
    onVerdict('');
    const damaged = await services.modelStore.verify(model);
    if (damaged !== undefined) onVerdict(damaged === 0 ? INTACT : DAMAGED);
  };
  const repair = (): void => void services.modelStore.repair(model).then(() => onVerdict(''));
  return (
    <div class="row">
      {!inUse && model.state === 'complete' && (
        <button
          type="button"
          class="primary"
          disabled={busy}
          aria-label={`Use ${name}`}
          onClick={() => void services.modelLoader.use(model)}
        >
          Use
        </button>
      )}
      {(model.state === 'damaged' || verdict === DAMAGED) && (
        <button type="button" disabled={busy} aria-label={`Repair ${name}`} onClick={repair}>
          Repair
        </button>
      )}
      <button type="button" class="quiet" disabled={busy} aria-label={`Verify ${name}`} onClick={verify}>
        Verify
      </button>
      <button type="button" class="quiet" disabled={busy} aria-label={`Delete ${name}`} onClick={onDelete}>
        Delete
      </button>
    </div>
  );
}

/** @returns size, architecture and licence in one line */
function factsOf({
  id,
  typeShares,
  parameterCount,
  activeParameterCount,
  config,
  storedBytes,
  hasChatTemplate,
  license,
}: ModelSummary): string {
  const types = Object.entries(typeShares)
    .sort(([, a], [, b]) => b - a)
    .map(([type]) => type)
    .slice(0, 2);
  return [
    `${formatCount(parameterCount)} parameters, ${formatCount(activeParameterCount)} active`,
    `${config.expertCount} experts, ${config.expertsPerToken} per token`,
    types.join(', '),
    formatBytes(storedBytes),
    hasChatTemplate || settings.value.chatFormats[id] ? 'chat' : 'base model',
    ...(license ? [`licence: ${license}`] : []),
  ].join(' · ');
}
