import { useRef } from 'preact/hooks';
import { formatBytes } from '../../contract/format-bytes.ts';
import { formatCount } from '../../ui/format.ts';
import { disk, fitsOnDisk } from '../services/disk-space.ts';
import { importBuiltin, isBuiltin } from '../services/models.ts';
import {
  importFiles,
  looking,
  type PlannedImport,
  planFromText,
  planned,
  planUrl,
  repo,
  startPlanned,
} from '../services/planned-import.ts';
import { loadOptionsOf, settings } from '../state/settings.ts';
import { models, runningImport } from '../state/state.ts';
import { TokenField } from './AccessTokenField.tsx';
import { expectSpeed } from './expected-speed.ts';
import { fitText } from './fit-text.ts';
import { deviceFigures } from './ModelDetails.tsx';

/** By address, repository or file. */
export function AddModel() {
  const chooser = useRef<HTMLInputElement>(null);
  const busy = runningImport.value !== undefined || looking.value !== undefined;
  return (
    <section>
      <h2>Add a model</h2>
      <p class="hint">
        Any Mixtral in GGUF form. It is downloaded once, from the address to this device, and stays here. One in several
        files: the address of any of them, or all of them together. Files can also be dropped anywhere on the page.
      </p>
      <form
        class="row"
        onSubmit={(event) => {
          event.preventDefault();
          void planFromText(new FormData(event.currentTarget).get('url') as string);
        }}
      >
        <input
          name="url"
          type="text"
          inputMode="url"
          aria-label="Address of a GGUF, or a repository on Hugging Face"
          placeholder="https://… .gguf, or owner/name"
          spellcheck={false}
          autocapitalize="off"
          required
        />
        <button type="submit" class="primary" disabled={busy}>
          Import
        </button>
        {/* Any file: `accept` knows no patterns, and the pieces of a cut model end in .part1of3 or -split-a. */}
        <input
          ref={chooser}
          type="file"
          multiple
          hidden
          aria-label="GGUF file"
          onChange={(event) => {
            importFiles([...(event.currentTarget.files ?? [])]);
            event.currentTarget.value = '';
          }}
        />
        <button type="button" disabled={busy} onClick={() => chooser.current?.click()}>
          Choose a file …
        </button>
        {!models.value.some(isBuiltin) && (
          <button type="button" disabled={busy} onClick={() => void importBuiltin()}>
            Built-in model
          </button>
        )}
      </form>
      <TokenField />
      <div role="status">{looking.value && <p class="hint">Looking at {looking.value} …</p>}</div>
      {repo.value && <RepoFiles busy={busy} />}
      {planned.value && <Plan plan={planned.value} />}
    </section>
  );
}

function RepoFiles({ busy }: { busy: boolean }) {
  const { name, files } = repo.value!;
  return (
    <div class="card column-card">
      <h3>{name}</h3>
      {files.length === 0 && <p class="hint">It has no GGUF.</p>}
      <ul class="files" aria-label={`Files of ${name}`}>
        {files.map(({ path, bytes, url }) => (
          <li key={path}>
            <span class="file-name">{path}</span>
            <span class="hint nowrap">{formatBytes(bytes)}</span>
            <button type="button" disabled={busy} aria-label={`Import ${path}`} onClick={() => void planUrl(url)}>
              Import
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** What a click has brought may lie below what a phone shows. */
const intoView = (element: HTMLElement | null): void => element?.scrollIntoView({ block: 'nearest' });

/** What will be downloaded, and whether it finds room. */
function Plan({ plan: { name, inspection } }: { plan: PlannedImport }) {
  const { fileBytes, parameterCount, activeParameterCount, bitsPerWeight, config, license, hasChatTemplate } =
    inspection;
  const device = deviceFigures();
  const fits = fitsOnDisk(fileBytes, disk.value);
  const free = disk.value ? disk.value.quotaBytes - disk.value.usedBytes : undefined;
  return (
    <section ref={intoView} class="card column-card" aria-label={`Import ${name}?`}>
      <h3>{inspection.name || name}</h3>
      <p class="hint">
        {formatCount(parameterCount)} parameters, {formatCount(activeParameterCount)} active · {config.expertCount}{' '}
        experts, {config.expertsPerToken} used · {bitsPerWeight.toFixed(1)} bits a weight ·{' '}
        {hasChatTemplate ? 'chat' : 'text completer'}
        {license && ` · ${license}`}
      </p>
      <p class="hint">
        This model{' '}
        {fitText(device, expectSpeed(inspection.figures, config, device, loadOptionsOf(settings.value).context))}.
      </p>
      <p>
        {formatBytes(fileBytes)} to download and keep.{' '}
        {free !== undefined && `The browser says that ${formatBytes(free)} are free for this page. `}
        {fits === false && (
          <strong class="bad">That is too little, though some browsers give more than they say.</strong>
        )}
      </p>
      <div class="row">
        <button type="button" class="primary" onClick={() => void startPlanned()}>
          Start the import
        </button>
        <button
          type="button"
          class="quiet"
          onClick={() => {
            planned.value = undefined;
          }}
        >
          Not now
        </button>
      </div>
    </section>
  );
}
