import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import { formatBytes } from '../../contract/format-bytes.ts';
import { askToPersist, refreshDisk } from '../services/disk-space.ts';
import { services } from '../services/services.ts';
import { urlSource } from '../state/access-token.ts';
import { deletesUnvisited, disk, storedSessions } from '../state/disk.ts';
import { runningImport, unfinished } from '../state/imports.ts';
import { models } from '../state/models.ts';
import { AddModel } from './AddModel.tsx';
import { KnownModels } from './KnownModels.tsx';
import { StoredModel } from './StoredModel.tsx';

/** The models on this device and the ways to add more. `notices` are shown below the title. */
export function LibraryPage({ notices }: { notices: ComponentChildren }) {
  useEffect(() => void refreshDisk(), [models.value, runningImport.value === undefined]);
  return (
    <main class="scroll library" id="main" tabIndex={-1}>
      <div class="column wide">
        <h1>Models</h1>
        {notices}
        <section>
          <h2>On this device</h2>
          <ul class="cards" aria-label="Stored models">
            {models.value.map((model) => (
              <StoredModel key={model.id} model={model} />
            ))}
            {models.value.length === 0 && <li class="hint">No models yet.</li>}
          </ul>
          <Unfinished />
          <DiskUse />
        </section>
        <AddModel />
        <KnownModels />
      </div>
    </main>
  );
}

/** Imports that were paused or interrupted. Local files have to be chosen again to continue. */
function Unfinished() {
  if (unfinished.value.length === 0 || runningImport.value) return null;
  return (
    <ul class="cards unfinished" aria-label="Unfinished imports">
      {unfinished.value.map(({ id, name, sourceUrl, bytesDone, bytesTotal }) => (
        <li class="card" key={id}>
          <div class="card-text">
            <h3>
              {name} <em>unfinished</em>
            </h3>
            <p class="hint">
              {formatBytes(bytesDone)} of {formatBytes(bytesTotal)} imported.{' '}
              {!sourceUrl && 'Choose the file again to continue.'}
            </p>
          </div>
          <div class="row">
            {sourceUrl && (
              <button
                type="button"
                class="primary"
                aria-label={`Continue import of ${name}`}
                onClick={() => void services.modelStore.import(urlSource(sourceUrl), name)}
              >
                Continue
              </button>
            )}
            <button
              type="button"
              class="quiet"
              aria-label={`Delete import of ${name}`}
              onClick={() => void services.modelStore.forgetImport(id)}
            >
              Delete
            </button>
          </div>
        </li>
      ))}
    </ul>
  );
}

const riskText = (): string =>
  deletesUnvisited()
    ? 'Safari deletes it if you do not visit this page for seven days, or if the disk gets full. '
    : 'The browser may delete it if the disk gets full. ';

/** How much disk space is used, and whether the browser keeps it. */
function DiskUse() {
  if (!disk.value) return null;
  const { usedBytes, quotaBytes, persisted } = disk.value;
  const cachedBytes = storedSessions.value.reduce((sum, { bytes }) => sum + bytes, 0);
  return (
    <div class="disk">
      <div class="gauge" role="img" aria-label={`${formatBytes(usedBytes)} of ${formatBytes(quotaBytes)} used`}>
        <span style={{ width: `${Math.min(100, (100 * usedBytes) / quotaBytes)}%` }} />
      </div>
      <p class="hint">
        {formatBytes(usedBytes)} of the {formatBytes(quotaBytes)} that this browser allows this page.{' '}
        {cachedBytes > 0 && `${formatBytes(cachedBytes)} of it is the conversation cache. `}
        {persisted ? 'The browser keeps it until you delete it.' : riskText()}
        {!persisted && (
          <button type="button" class="link" onClick={() => void askToPersist()}>
            Ask the browser to keep it
          </button>
        )}
      </p>
    </div>
  );
}
