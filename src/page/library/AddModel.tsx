import { useRef } from 'preact/hooks';
import { formatBytes } from '../../contract/format-bytes.ts';
import { formatCount } from '../../ui/format.ts';
import { isBuiltin } from '../services/builtin-model.ts';
import { fitsOnDisk } from '../services/disk-space.ts';
import { services } from '../services/services.ts';
import { disk } from '../state/disk.ts';
import { inspecting, type PlannedImport, plannedImport, repoListing, runningImport } from '../state/imports.ts';
import { models } from '../state/models.ts';
import { settings } from '../state/settings.ts';
import { AccessTokenField } from './AccessTokenField.tsx';
import { deviceFigures } from './device-figures.ts';
import { expectSpeed } from './expected-speed.ts';
import { fitText } from './fit-text.ts';

/** Imports a model by address, from a Hugging Face repository or from files. */
export function AddModel() {
  const chooser = useRef<HTMLInputElement>(null);
  const busy = runningImport.value !== undefined || inspecting.value !== undefined;
  return (
    <section>
      <h2>Add a model</h2>
      <p class="hint">
        Any Mixtral model in GGUF format. It is downloaded once, directly to this device, and stays here. For a model in
        several files, enter the address of any one of them or choose all files together. You can also drop files
        anywhere on this page.
      </p>
      <form
        class="row"
        onSubmit={(event) => {
          event.preventDefault();
          void services.importPlanner.planText(new FormData(event.currentTarget).get('url') as string);
        }}
      >
        <input
          name="url"
          type="text"
          inputMode="url"
          aria-label="GGUF address or Hugging Face repository"
          placeholder="Link to a .gguf file, or owner/name"
          spellcheck={false}
          autocapitalize="off"
          required
        />
        <button type="submit" class="primary" disabled={busy}>
          Import
        </button>
        {/* No `accept`: it has no patterns, and the pieces of a split model end in .part1of3 or -split-a. */}
        <input
          ref={chooser}
          type="file"
          multiple
          hidden
          aria-label="GGUF file"
          onChange={(event) => {
            services.importPlanner.planFiles([...(event.currentTarget.files ?? [])]);
            event.currentTarget.value = '';
          }}
        />
        <button type="button" disabled={busy} onClick={() => chooser.current?.click()}>
          Choose files …
        </button>
        {!models.value.some(isBuiltin) && (
          <button type="button" disabled={busy} onClick={() => void services.modelStore.importBuiltin()}>
            Restore the built-in model
          </button>
        )}
      </form>
      <AccessTokenField />
      <div role="status">{inspecting.value && <p class="hint">Checking {inspecting.value} …</p>}</div>
      {repoListing.value && <RepoFiles busy={busy} />}
      {plannedImport.value && <Plan plan={plannedImport.value} />}
    </section>
  );
}

function RepoFiles({ busy }: { busy: boolean }) {
  const { name, files } = repoListing.value!;
  return (
    <div class="card column-card">
      <h3>{name}</h3>
      {files.length === 0 && <p class="hint">This repository has no GGUF files.</p>}
      <ul class="files" aria-label={`Files of ${name}`}>
        {files.map(({ path, bytes, url }) => (
          <li key={path}>
            <span class="file-name">{path}</span>
            <span class="hint nowrap">{formatBytes(bytes)}</span>
            <button
              type="button"
              disabled={busy}
              aria-label={`Import ${path}`}
              onClick={() => void services.importPlanner.planUrl(url)}
            >
              Import
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** Scrolls an element into view when it appears, because it may be below the visible part on a phone. */
const scrollIntoView = (element: HTMLElement | null): void => element?.scrollIntoView({ block: 'nearest' });

/** What will be downloaded, whether it fits on the disk, and how fast the model will be. */
function Plan({ plan: { name, inspection } }: { plan: PlannedImport }) {
  const { fileBytes, parameterCount, activeParameterCount, bitsPerWeight, config, license, hasChatTemplate } =
    inspection;
  const device = deviceFigures();
  const fits = fitsOnDisk(fileBytes, disk.value);
  const free = disk.value ? disk.value.quotaBytes - disk.value.usedBytes : undefined;
  return (
    <section ref={scrollIntoView} class="card column-card" aria-label={`Import ${name}?`}>
      <h3>{inspection.name || name}</h3>
      <p class="hint">
        {formatCount(parameterCount)} parameters, {formatCount(activeParameterCount)} active · {config.expertCount}{' '}
        experts, {config.expertsPerToken} per token · {bitsPerWeight.toFixed(1)} bits per weight ·{' '}
        {hasChatTemplate ? 'chat' : 'base model'}
        {license && ` · licence: ${license}`}
      </p>
      <p class="hint">
        This model {fitText(device, expectSpeed(inspection.figures, config, device, settings.value.context))}.
      </p>
      <p>
        {formatBytes(fileBytes)} to download.{' '}
        {free !== undefined && `The browser reports ${formatBytes(free)} of free space for this page. `}
        {fits === false && (
          <strong class="bad">That is not enough, but some browsers provide more than they report.</strong>
        )}
      </p>
      <div class="row">
        <button type="button" class="primary" onClick={() => void services.importPlanner.startPlanned()}>
          Start import
        </button>
        <button
          type="button"
          class="quiet"
          onClick={() => {
            plannedImport.value = undefined;
          }}
        >
          Cancel
        </button>
      </div>
    </section>
  );
}
