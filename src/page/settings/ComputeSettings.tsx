/** Settings of what computes and how much memory the model may take. */
import { formatBytes } from '../../contract/format-bytes.ts';
import { computeKind, computeStatus, otherGpuHint } from '../state/compute.ts';
import { loaded } from '../state/models.ts';
import { showView } from '../state/route.ts';
import { changeSettings, settings } from '../state/settings.ts';
import { COMPUTE_CHOICES, type Field, MEMORY, type MemoryKey } from './fields.ts';
import { NumberField } from './NumberField.tsx';
import { RadioField } from './RadioField.tsx';

/**
 * What computes, and how much memory it may take. Only the fields that apply are shown.
 * @param onLeave called when the user goes to another view
 */
export function ComputeSettings({ onLeave }: { onLeave: () => void }) {
  return (
    <>
      <h3>Computing and memory</h3>
      <ComputeChoice />
      {MEMORY[computeKind.value].map((field) => (
        <NumberField
          key={field.key}
          field={withModelLimit(field)}
          value={settings.value[field.key]}
          onChange={(value) => changeSettings({ [field.key]: value })}
        />
      ))}
      <MemoryUse />
      <button
        type="button"
        onClick={() => {
          onLeave();
          showView('measure');
        }}
      >
        Measure this GPU
      </button>
    </>
  );
}

function ComputeChoice() {
  const chosen = COMPUTE_CHOICES.find(({ value }) => value === settings.value.compute);
  return (
    <RadioField
      name="compute"
      legend="Compute with"
      options={COMPUTE_CHOICES}
      selected={chosen}
      labelOf={({ label }) => label}
      onSelect={({ value }) => changeSettings({ compute: value })}
      help={chosen?.help}
    />
  );
}

/** Adds the loaded model's longest context to the help of that field. */
function withModelLimit(field: Field<MemoryKey>): Field<MemoryKey> {
  const config = loaded.value?.summary.config;
  return field.key === 'context' && config
    ? { ...field, help: `${field.help} This model supports up to ${config.contextLength}.` }
    : field;
}

/** What computes now, why, and how much memory the model takes. */
function MemoryUse() {
  if (!loaded.value) return null;
  const { memory, slots, summary, context, compute, adapter } = loaded.value;
  const hint = compute.kind === 'gpu' ? otherGpuHint(adapter, navigator.userAgent) : undefined;
  const taken =
    compute.kind === 'gpu'
      ? `${formatBytes(memory.gpuBytes)} of GPU memory`
      : `${formatBytes(memory.ramBytes)} of memory`;
  return (
    <p class="hint">
      {computeStatus.value}. The model takes {taken}, with room for {slots} of{' '}
      {summary.config.layerCount * summary.config.expertCount} experts and a context of {context}.{hint && ` ${hint}`}
    </p>
  );
}
