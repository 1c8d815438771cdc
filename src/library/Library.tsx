import { useRef } from 'preact/hooks';
import { importBuiltin, importModel, loadModel, removeModel, report } from '../app/controller.ts';
import { loaded, models, runningImport } from '../app/state.ts';
import type { ModelSummary } from '../contract/engine-api.ts';
import { Dialog } from '../ui/Dialog.tsx';
import { formatBytes, formatCount } from '../ui/format.ts';
import { ModelDetails } from './ModelDetails.tsx';
import { sourceUrl } from './source-url.ts';

/** Imports what was chosen or dropped: one file, or all parts of a split one. */
export function importFiles(files: readonly File[]): void {
  const [first] = files;
  if (first) void importModel({ kind: 'file', files: [...files] }, first.name);
}

export function Library({ onClose }: { onClose: () => void }) {
  const chooser = useRef<HTMLInputElement>(null);
  const importing = runningImport.value !== undefined;
  return (
    <Dialog title="Models" onClose={onClose}>
      <ul class="models" aria-label="Stored models">
        {models.value.map((model) => (
          <ModelCard key={model.id} model={model} onClose={onClose} />
        ))}
        {models.value.length === 0 && <li class="hint">No model is stored yet.</li>}
      </ul>
      <h3>Add a model</h3>
      <p class="hint">A Mixtral GGUF: from a web address (Hugging Face, for example), or a file. You can also drop files anywhere on the page. Of a model in several parts, give the address of any part, or choose or drop all of them.</p>
      <form
        class="row"
        onSubmit={(event) => {
          event.preventDefault();
          const address = new FormData(event.currentTarget).get('url') as string;
          try {
            const url = sourceUrl(address);
            void importModel({ kind: 'url', url }, url.slice(url.lastIndexOf('/') + 1));
            onClose();
          } catch (error) {
            report(error);
            onClose();
          }
        }}
      >
        <input name="url" type="text" inputMode="url" aria-label="Address of a GGUF" placeholder="https://huggingface.co/…/model.gguf" required />
        <button type="submit" disabled={importing}>
          Import
        </button>
      </form>
      <div class="row">
        <input
          ref={chooser}
          type="file"
          accept=".gguf"
          multiple
          hidden
          aria-label="GGUF file"
          onChange={(event) => {
            importFiles([...(event.currentTarget.files ?? [])]);
            onClose();
          }}
        />
        <button type="button" disabled={importing} onClick={() => chooser.current?.click()}>
          Choose a file …
        </button>
        <button
          type="button"
          disabled={importing}
          onClick={() => {
            void importBuiltin();
            onClose();
          }}
        >
          Built-in model
        </button>
      </div>
    </Dialog>
  );
}

function ModelCard({ model, onClose }: { model: ModelSummary; onClose: () => void }) {
  const isLoaded = loaded.value?.summary.id === model.id;
  const types = Object.entries(model.typeShares)
    .sort(([, a], [, b]) => b - a)
    .map(([type]) => type)
    .slice(0, 2)
    .join(', ');
  return (
    <li class="model">
      <div>
        <strong>{model.name}</strong> {isLoaded && <em>in use</em>} {model.state !== 'complete' && <em class="bad">{model.state}</em>}
        <p class="hint">
          {formatCount(model.parameterCount)} parameters, {formatCount(model.activeParameterCount)} active ·{' '}
          {model.config.expertCount} experts, {model.config.expertsPerToken} used · {types} · {formatBytes(model.storedBytes)} ·{' '}
          {model.hasChatTemplate ? 'chat' : 'text completer'}
          {model.license && ` · ${model.license}`}
        </p>
        <ModelDetails model={model} />
      </div>
      <div class="row">
        {!isLoaded && model.state === 'complete' && (
          <button
            type="button"
            aria-label={`Use ${model.name}`}
            onClick={() => {
              void loadModel(model);
              onClose();
            }}
          >
            Use
          </button>
        )}
        <button
          type="button"
          class="quiet"
          aria-label={`Remove ${model.name}`}
          onClick={() => {
            if (confirm(`Remove ${model.name} and free ${formatBytes(model.storedBytes)}?`)) void removeModel(model);
          }}
        >
          Remove
        </button>
      </div>
    </li>
  );
}
