import { useState } from 'preact/hooks';
import { reloadModel } from '../app/controller.ts';
import { loaded } from '../app/state.ts';
import { Dialog } from '../ui/Dialog.tsx';
import { formatBytes } from '../ui/format.ts';
import { changeSettings, DEFAULT_SETTINGS, type Settings, settings } from './settings.ts';

type NumberKey = Exclude<keyof Settings, 'lastModelId'>;

interface Field {
  key: NumberKey;
  label: string;
  help: string;
  min: number;
  max: number;
  step: number;
  /** What an empty field means; where absent a number is needed. */
  empty?: string;
}

const SAMPLING: Field[] = [
  { key: 'temperature', label: 'Temperature', help: '0 always takes the likeliest word; higher is more surprising.', min: 0, max: 2, step: 0.05 },
  { key: 'topK', label: 'Top-k', help: 'Choose among the k likeliest tokens only; 0 is off.', min: 0, max: 1000, step: 1 },
  { key: 'topP', label: 'Top-p', help: 'Choose among the likeliest tokens that make up this share; 1 is off.', min: 0, max: 1, step: 0.01 },
  { key: 'minP', label: 'Min-p', help: 'Leave out what is less likely than this share of the likeliest; 0 is off.', min: 0, max: 1, step: 0.01 },
  { key: 'repetitionPenalty', label: 'Repetition penalty', help: 'Above 1, words already used become less likely.', min: 0.5, max: 2, step: 0.01 },
  { key: 'maxTokens', label: 'Longest answer', help: 'In tokens; about three quarters of a word each.', min: 1, max: 32768, step: 1 },
  { key: 'seed', label: 'Seed', help: 'The same seed and text give the same answer.', min: 0, max: 4294967295, step: 1, empty: 'random' },
];

const MEMORY: Field[] = [
  { key: 'context', label: 'Context', help: 'How many tokens the model remembers; more takes more GPU memory.', min: 16, max: 131072, step: 1, empty: 'automatic' },
  { key: 'gpuBudgetMegabytes', label: 'GPU memory, MB', help: 'Experts that do not fit are streamed from the disk as they are needed.', min: 1, max: 1_000_000, step: 1, empty: 'automatic' },
];

export function SettingsDialog({ onClose }: { onClose: () => void }) {
  // The values when the dialog opened, whatever is typed since.
  const [opened] = useState(settings.value);
  const close = (): void => {
    onClose();
    const changed = MEMORY.some(({ key }) => settings.value[key] !== opened[key]);
    if (changed) void reloadModel();
  };
  return (
    <Dialog title="Settings" onClose={close}>
      <h3>Writing</h3>
      {SAMPLING.map((field) => (
        <NumberField key={field.key} field={field} />
      ))}
      <h3>Memory</h3>
      {MEMORY.map((field) => (
        <NumberField key={field.key} field={field} />
      ))}
      {loaded.value && (
        <p class="hint">
          Now: {formatBytes(loaded.value.memory.gpuBytes)} on the GPU, {loaded.value.slots} of{' '}
          {loaded.value.summary.config.layerCount * loaded.value.summary.config.expertCount} experts have a place there, context{' '}
          {loaded.value.context}. GPU: {loaded.value.adapter.description || loaded.value.adapter.vendor}
          {loaded.value.adapter.software && ' (software, slow)'}.
        </p>
      )}
      <button type="button" onClick={() => changeSettings({ ...DEFAULT_SETTINGS, lastModelId: settings.value.lastModelId })}>
        Back to the defaults
      </button>
    </Dialog>
  );
}

function NumberField({ field: { key, label, help, min, max, step, empty } }: { field: Field }) {
  const id = `setting-${key}`;
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input
        id={id}
        type="number"
        min={min}
        max={max}
        step={step}
        placeholder={empty ?? ''}
        value={settings.value[key] ?? ''}
        aria-describedby={`${id}-help`}
        onChange={(event) => {
          const { value, valueAsNumber } = event.currentTarget;
          if (value === '' && empty !== undefined) changeSettings({ [key]: undefined });
          else if (valueAsNumber >= min && valueAsNumber <= max) changeSettings({ [key]: valueAsNumber });
          else event.currentTarget.value = String(settings.value[key] ?? '');
        }}
      />
      <p id={`${id}-help`} class="hint">
        {help}
      </p>
    </div>
  );
}
