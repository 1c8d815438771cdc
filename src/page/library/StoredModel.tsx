import { useState } from 'preact/hooks';
import { formatBytes } from '../../contract/format-bytes.ts';
import type { ModelSummary } from '../../contract/import-api.ts';
import { formatCount } from '../../ui/format.ts';
import { isBuiltin, removeModel, repairModel, useModel, verifyModel } from '../services/models.ts';
import { loaded, loading, runningImport } from '../state/state.ts';
import { ModelDetails } from './ModelDetails.tsx';

const DAMAGED = 'Damaged: some records are not as they were imported.';

/** A model that lies in the store. */
export function StoredModel({ model }: { model: ModelSummary }) {
  const [asking, setAsking] = useState(false);
  const [verdict, setVerdict] = useState('');
  const inUse = loaded.value?.summary.id === model.id;
  const busy = runningImport.value !== undefined || loading.value !== undefined;
  return (
    <li class="card">
      <div class="card-text">
        <h3>
          {model.name}
          {inUse && <em>in use</em>}
          {model.state !== 'complete' && <em class="bad">{model.state}</em>}
        </h3>
        <p class="hint">
          {isBuiltin(model) ? 'A very small story-teller that comes with the page. ' : ''}
          {factsOf(model)}
        </p>
        <ModelDetails model={model} />
        {verdict && (
          <p class="hint" role="status">
            {verdict}
          </p>
        )}
      </div>
      {asking ? (
        <div class="row">
          <span>Remove it and free {formatBytes(model.storedBytes)}?</span>
          <button type="button" class="bad" onClick={() => void removeModel(model).then(() => setAsking(false))}>
            Remove {model.name}
          </button>
          <button type="button" class="quiet" onClick={() => setAsking(false)}>
            Keep
          </button>
        </div>
      ) : (
        <div class="row">
          {!inUse && model.state === 'complete' && (
            <button
              type="button"
              class="primary"
              disabled={busy}
              aria-label={`Use ${model.name}`}
              onClick={() => void useModel(model)}
            >
              Use
            </button>
          )}
          {(model.state === 'damaged' || verdict === DAMAGED) && (
            <button
              type="button"
              disabled={busy}
              aria-label={`Repair ${model.name}`}
              onClick={() => void repairModel(model).then(() => setVerdict(''))}
            >
              Repair
            </button>
          )}
          <button
            type="button"
            class="quiet"
            disabled={busy}
            aria-label={`Verify ${model.name}`}
            onClick={async () => {
              setVerdict('');
              const damaged = await verifyModel(model);
              if (damaged !== undefined)
                setVerdict(damaged === 0 ? 'Verified: every byte is as it was imported.' : DAMAGED);
            }}
          >
            Verify
          </button>
          <button
            type="button"
            class="quiet"
            disabled={busy}
            aria-label={`Remove ${model.name}`}
            onClick={() => setAsking(true)}
          >
            Remove
          </button>
        </div>
      )}
    </li>
  );
}

function factsOf({
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
    `${config.expertCount} experts, ${config.expertsPerToken} used`,
    types.join(', '),
    formatBytes(storedBytes),
    hasChatTemplate ? 'chat' : 'text completer',
    ...(license ? [license] : []),
  ].join(' · ');
}
