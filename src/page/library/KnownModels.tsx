import { formatBytes } from '../../contract/format-bytes.ts';
import { services } from '../services/services.ts';
import { inspecting, runningImport } from '../state/imports.ts';
import { models } from '../state/models.ts';
import { settings } from '../state/settings.ts';
import { deviceFigures } from './device-figures.ts';
import { fitShort, fitText, memoryText } from './fit-text.ts';
import { bitsOf, expectSpeedOfFile, KNOWN_MODELS, type KnownFile, type KnownModel, urlOf } from './known-models.ts';

/** A list of popular model files, with what to expect of them on this device. */
export function KnownModels() {
  return (
    <section>
      <h2>Popular models</h2>
      <p class="hint">
        Speeds are upper limits for {memoryText(deviceFigures())} on this device. Files with fewer bits per weight are
        faster, because experts that do not fit there are read from disk. Files with more bits are closer to the
        original.
      </p>
      {KNOWN_MODELS.map((model) => (
        <div class="card column-card" key={model.repo}>
          <h3>{model.name}</h3>
          <p class="hint">
            {model.about} Licence: {model.license} ·{' '}
            <a href={`https://huggingface.co/${model.repo}`} target="_blank" rel="noopener noreferrer">
              {model.repo}
            </a>
          </p>
          <ul class="files" aria-label={`Files of ${model.name}`}>
            {model.files.map((file) => (
              <FileRow key={file.file} model={model} file={file} />
            ))}
          </ul>
        </div>
      ))}
    </section>
  );
}

function FileRow({ model, file }: { model: KnownModel; file: KnownFile }) {
  const url = urlOf(model, file);
  const device = deviceFigures();
  const expected = expectSpeedOfFile(model, file, device, settings.value.context);
  const stored = models.value.some(({ origin, state }) => state === 'complete' && origin.endsWith(file.file));
  return (
    <li>
      <span class="file-name">
        <strong>{file.mix}</strong> <Stars count={file.stars} /> <span class="hint">{file.quality}</span>
      </span>
      <span class="hint nowrap">
        {formatBytes(file.bytes)} · {bitsOf(model, file).toFixed(1)} bits
        <br />
        <span title={`This file ${fitText(device, expected)}.`}>{fitShort(device, expected)}</span>
      </span>
      {stored ? (
        <span class="hint">on this device</span>
      ) : (
        <button
          type="button"
          disabled={runningImport.value !== undefined || inspecting.value !== undefined}
          aria-label={`Import ${model.name}, ${file.mix}`}
          onClick={() => void services.importPlanner.planUrl(url)}
        >
          Import
        </button>
      )}
    </li>
  );
}

const Stars = ({ count }: { count: number }) => (
  <span class="stars" role="img" aria-label={`quality ${count} of 5`}>
    {'●'.repeat(count)}
    {'○'.repeat(5 - count)}
  </span>
);
