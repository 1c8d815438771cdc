import { useState } from 'preact/hooks';
import { Dialog } from '../../ui/Dialog.tsx';
import { useDraft } from '../../ui/use-draft.ts';
import { services } from '../services/services.ts';
import { current } from '../state/conversations.ts';
import { changeGeneration, currentGeneration, currentKind } from '../state/current-settings.ts';
import { defaultGeneration, PRESETS, presetOf } from '../state/generation-settings.ts';
import { type Appearance, changeSettings, DEFAULT_SETTINGS, loadOptionsText, settings } from '../state/settings.ts';
import { ComputeSettings } from './ComputeSettings.tsx';
import { LOSSY, SAMPLING } from './fields.ts';
import { NumberField } from './NumberField.tsx';
import { RadioField } from './RadioField.tsx';
import { StorageSettings } from './StorageSettings.tsx';

const APPEARANCES: [Appearance, string][] = [
  ['system', 'System'],
  ['light', 'Light'],
  ['dark', 'Dark'],
];

/** All settings. Changes apply at once, except that the model is only loaded again when the dialog closes. */
export function SettingsDialog({ onClose }: { onClose: () => void }) {
  // The settings when the dialog opened, to see on closing whether the model has to be loaded again.
  const [opened] = useState(settings.value);
  const close = (): void => {
    onClose();
    if (loadOptionsText(settings.value) !== loadOptionsText(opened)) void services.modelLoader.reload();
  };
  return (
    <Dialog title="Settings" onClose={close}>
      <p class="hint">The defaults work well. You don't have to change anything.</p>
      <GenerationFields />
      <ComputeSettings onLeave={close} />
      <StorageSettings />
      <ApproximateMode />
      <h3>Page</h3>
      <AppearanceField />
      <button type="button" onClick={resetToDefaults}>
        Reset to defaults
      </button>
    </Dialog>
  );
}

/** Resets everything but the system prompt, the loaded model and the settings of the other kind of conversation. */
function resetToDefaults(): void {
  const { systemPrompt } = currentGeneration.value;
  changeGeneration({ ...defaultGeneration(currentKind.value), systemPrompt });
  const { lastModelId, chatGeneration, textGeneration, gpuHintDismissed, sevenDaysHintDismissed } = settings.value;
  const kept = { chatGeneration, textGeneration, lastModelId, gpuHintDismissed, sevenDaysHintDismissed };
  changeSettings({ ...DEFAULT_SETTINGS, ...kept });
}

/** System prompt and sampling of the open conversation, or of new ones. */
function GenerationFields() {
  return (
    <>
      <h3>{current.value ? 'This conversation' : 'New conversations'}</h3>
      {currentKind.value === 'chat' && <SystemPrompt />}
      <Presets />
      {SAMPLING.map((field) => (
        <NumberField
          key={field.key}
          field={field}
          value={currentGeneration.value[field.key]}
          onChange={(value) => changeGeneration({ [field.key]: value })}
        />
      ))}
    </>
  );
}

function SystemPrompt() {
  const { field } = useDraft(currentGeneration.value.systemPrompt);
  return (
    <div class="field tall">
      <label for="setting-system">System prompt</label>
      <textarea
        id="setting-system"
        rows={3}
        placeholder="None"
        aria-describedby="setting-system-help"
        {...field}
        onChange={(event) => changeGeneration({ systemPrompt: event.currentTarget.value })}
      />
      <p id="setting-system-help" class="hint">
        Instructions that the model reads before the first message, such as its role and style.
      </p>
    </div>
  );
}

function Presets() {
  const preset = presetOf(currentGeneration.value);
  return (
    <RadioField
      name="preset"
      legend="Sampling preset"
      options={PRESETS}
      selected={preset}
      labelOf={({ name }) => name}
      onSelect={({ sampling }) => changeGeneration(sampling)}
      help={preset?.help ?? 'Custom values, set below.'}
    />
  );
}

function ApproximateMode() {
  return (
    <>
      <h3>Approximate mode: faster, but not exact</h3>
      {LOSSY.map((field) => (
        <NumberField
          key={field.key}
          field={field}
          value={settings.value[field.key]}
          onChange={(value) => changeSettings({ [field.key]: value })}
        />
      ))}
    </>
  );
}

function AppearanceField() {
  return (
    <div class="field">
      <label for="setting-appearance">Appearance</label>
      <select
        id="setting-appearance"
        value={settings.value.appearance}
        onChange={(event) => changeSettings({ appearance: event.currentTarget.value as Appearance })}
      >
        {APPEARANCES.map(([value, label]) => (
          <option key={value} value={value}>
            {label}
          </option>
        ))}
      </select>
    </div>
  );
}
