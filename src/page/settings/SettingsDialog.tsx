import { useState } from 'preact/hooks';
import { formatBytes } from '../../contract/format-bytes.ts';
import { Dialog } from '../../ui/Dialog.tsx';
import { reloadModel } from '../services/models.ts';
import { clearSessions } from '../services/sessions.ts';
import { current } from '../state/conversations.ts';
import { changeGeneration, currentGeneration, currentKind } from '../state/current-settings.ts';
import { defaultGeneration, PRESETS, presetOf } from '../state/generation-settings.ts';
import { type Appearance, changeSettings, DEFAULT_SETTINGS, type Settings, settings } from '../state/settings.ts';
import { isChat, loaded, sessions } from '../state/state.ts';
import { type Field, LOSSY, MEMORY, type MemoryKey, SAMPLING, SESSIONS } from './fields.ts';
import { NumberField } from './NumberField.tsx';

const APPEARANCES: [Appearance, string][] = [
  ['system', 'As the system'],
  ['light', 'Light'],
  ['dark', 'Dark'],
];

/** Everything that can be set; nothing has to be. */
export function SettingsDialog({ onClose }: { onClose: () => void }) {
  // The values when the dialog opened, whatever is typed since.
  const [opened] = useState(settings.value);
  const close = (): void => {
    onClose();
    if (MEMORY.some(({ key }) => settings.value[key] !== opened[key])) void reloadModel();
  };
  const reset = (): void => {
    const { systemPrompt } = currentGeneration.value;
    changeGeneration({ ...defaultGeneration(currentKind.value), systemPrompt });
    const { lastModelId, chatGeneration, textGeneration } = settings.value;
    changeSettings({ ...DEFAULT_SETTINGS, chatGeneration, textGeneration, lastModelId });
  };
  return (
    <Dialog title="Settings" onClose={close}>
      <p class="hint">Nothing here needs to be touched.</p>
      <h3>{current.value ? 'This conversation' : 'New conversations'}</h3>
      {isChat.value && <SystemPrompt />}
      <Presets />
      {SAMPLING.map((field) => (
        <NumberField
          key={field.key}
          field={field}
          value={currentGeneration.value[field.key]}
          onChange={(value) => changeGeneration({ [field.key]: value })}
        />
      ))}
      <h3>Memory</h3>
      {MEMORY.map((field) => (
        <NumberField
          key={field.key}
          field={withLimits(field)}
          value={settings.value[field.key]}
          onChange={(value) => changeSettings({ [field.key]: value })}
        />
      ))}
      <MemoryNow />
      <KeptSessions />
      <div class="field">
        <label for="setting-place">Keep new models</label>
        <select
          id="setting-place"
          value={settings.value.storageBackend}
          onChange={(event) =>
            changeSettings({ storageBackend: event.currentTarget.value as Settings['storageBackend'] })
          }
        >
          <option value="indexeddb">in IndexedDB</option>
          <option value="opfs">as files</option>
        </select>
        <p class="hint">
          IndexedDB works everywhere; files private to the page are read several times faster where the browser has
          them.
        </p>
      </div>
      <h3>Faster, but not exact</h3>
      {LOSSY.map((field) => (
        <NumberField
          key={field.key}
          field={field}
          value={settings.value[field.key]}
          onChange={(value) => changeSettings({ [field.key]: value })}
        />
      ))}
      <h3>Page</h3>
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
      <button type="button" onClick={reset}>
        Back to the defaults
      </button>
    </Dialog>
  );
}

/** A context longer than the model knows makes no sense. */
function withLimits(field: Field<MemoryKey>): Field<MemoryKey> {
  const model = loaded.value?.summary.config;
  return field.key === 'context' && model
    ? { ...field, help: `${field.help} This model knows up to ${model.contextLength}.` }
    : field;
}

function SystemPrompt() {
  return (
    <div class="field tall">
      <label for="setting-system">System prompt</label>
      <textarea
        id="setting-system"
        rows={3}
        placeholder="None"
        aria-describedby="setting-system-help"
        value={currentGeneration.value.systemPrompt}
        onChange={(event) => changeGeneration({ systemPrompt: event.currentTarget.value })}
      />
      <p id="setting-system-help" class="hint">
        What the model is told before the first message: who it is, how it answers.
      </p>
    </div>
  );
}

function Presets() {
  const chosen = presetOf(currentGeneration.value);
  return (
    <fieldset class="presets">
      <legend>Choice of words</legend>
      {PRESETS.map((preset) => (
        <label key={preset.name} title={preset.help}>
          <input
            type="radio"
            name="preset"
            checked={preset === chosen}
            onChange={() => changeGeneration(preset.sampling)}
          />
          <span>{preset.name}</span>
        </label>
      ))}
      <p class="hint">{chosen?.help ?? 'Your own values, below.'}</p>
    </fieldset>
  );
}

/** What the model has read of conversations, on the disk. */
function KeptSessions() {
  const bytes = sessions.value.reduce((sum, session) => sum + session.bytes, 0);
  return (
    <>
      <div class="field">
        <label for="setting-sessions">Remember what was read</label>
        <input
          id="setting-sessions"
          type="checkbox"
          checked={settings.value.keepSessions}
          aria-describedby="setting-sessions-help"
          onChange={(event) => changeSettings({ keepSessions: event.currentTarget.checked })}
        />
        <p id="setting-sessions-help" class="hint">
          Conversations go on at once after a reload or a look at another one, without being read again by the model.
        </p>
      </div>
      {settings.value.keepSessions &&
        SESSIONS.map((field) => (
          <NumberField
            key={field.key}
            field={field}
            value={settings.value[field.key]}
            onChange={(value) => value !== undefined && changeSettings({ [field.key]: value })}
          />
        ))}
      {bytes > 0 && (
        <p class="hint">
          Now: {formatBytes(bytes)} for {sessions.value.length}{' '}
          {sessions.value.length === 1 ? 'conversation' : 'conversations'}.{' '}
          <button type="button" class="link" onClick={() => void clearSessions()}>
            Forget it
          </button>
        </p>
      )}
    </>
  );
}

function MemoryNow() {
  if (!loaded.value) return null;
  const { memory, slots, summary, context, adapter } = loaded.value;
  return (
    <p class="hint">
      Now: {formatBytes(memory.gpuBytes)} on the GPU, {slots} of{' '}
      {summary.config.layerCount * summary.config.expertCount} experts have a place there, context {context}. GPU:{' '}
      {adapter.description || adapter.vendor}
      {adapter.software && ' (software, slow)'}.
    </p>
  );
}
