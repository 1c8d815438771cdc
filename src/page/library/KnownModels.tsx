import { formatBytes } from '../../contract/format-bytes.ts';
import { looking, planUrl } from '../services/planned-import.ts';
import { loadOptionsOf, settings } from '../state/settings.ts';
import { models, runningImport } from '../state/state.ts';
import { fitShort, fitText } from './fit-text.ts';
import { bitsOf, expectFile, KNOWN_MODELS, type KnownFile, type KnownModel, urlOf } from './known-models.ts';
import { deviceFigures } from './ModelDetails.tsx';

/** Well-known files to choose from. */
export function KnownModels() {
  return (
    <section>
      <h2>Well-known Mixtrals</h2>
      <p class="hint">
        What is said of the speed is the most that {formatBytes(deviceFigures().gpuBytes)} of GPU memory could give
        here. Fewer bits are faster: experts that find no place on the GPU are read from the disk, so every bit costs
        time. More bits are closer to the original.
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
  const expected = expectFile(model, file, device, loadOptionsOf(settings.value).context);
  const stored = models.value.some(({ origin, state }) => state === 'complete' && origin.endsWith(file.file));
  return (
    <li>
      <span class="file-name">
        <strong>{file.mix}</strong> <Stars count={file.stars} /> <span class="hint">{file.quality}</span>
      </span>
      <span class="hint nowrap">
        {formatBytes(file.bytes)} · {bitsOf(model, file).toFixed(1)} bits
        <br />
        <span title={`This file ${fitText(device, expected)}.`}>{fitShort(expected)}</span>
      </span>
      {stored ? (
        <span class="hint">stored</span>
      ) : (
        <button
          type="button"
          disabled={runningImport.value !== undefined || looking.value !== undefined}
          aria-label={`Import ${model.name}, ${file.mix}`}
          onClick={() => void planUrl(url)}
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
