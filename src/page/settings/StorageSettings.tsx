import { formatBytes } from '../../contract/format-bytes.ts';
import { services } from '../services/services.ts';
import { storedSessions } from '../state/disk.ts';
import { changeSettings, type Settings, settings } from '../state/settings.ts';
import { SESSIONS } from './fields.ts';
import { NumberField } from './NumberField.tsx';

/** The conversation cache, and where new models are stored. */
export function StorageSettings() {
  return (
    <>
      <h3>Disk</h3>
      <ConversationCache />
      <StorageBackend />
    </>
  );
}

/** Whether to keep the KV caches of conversations on disk, and how much space they may take. */
function ConversationCache() {
  const bytes = storedSessions.value.reduce((sum, session) => sum + session.bytes, 0);
  return (
    <>
      <div class="field">
        <label for="setting-sessions">Cache conversations</label>
        <input
          id="setting-sessions"
          type="checkbox"
          checked={settings.value.keepSessions}
          aria-describedby="setting-sessions-help"
          onChange={(event) => changeSettings({ keepSessions: event.currentTarget.checked })}
        />
        <p id="setting-sessions-help" class="hint">
          Saves what the model has already read of each conversation, so that it can answer sooner after a reload or
          when you switch back.
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
          Now: {formatBytes(bytes)} for {storedSessions.value.length}{' '}
          {storedSessions.value.length === 1 ? 'conversation' : 'conversations'}.{' '}
          <button type="button" class="link" onClick={() => void services.sessions.clear()}>
            Clear cache
          </button>
        </p>
      )}
    </>
  );
}

function StorageBackend() {
  return (
    <div class="field">
      <label for="setting-storage">Store new models in</label>
      <select
        id="setting-storage"
        value={settings.value.storageBackend}
        aria-describedby="setting-storage-help"
        onChange={(event) =>
          changeSettings({ storageBackend: event.currentTarget.value as Settings['storageBackend'] })
        }
      >
        <option value="auto">Automatic</option>
        <option value="indexeddb">IndexedDB</option>
        <option value="opfs">Private files</option>
      </select>
      <p id="setting-storage-help" class="hint">
        Private files (OPFS) are read several times faster than IndexedDB. Automatic: private files for models of 1 GB
        or more, if this browser has them. Models that are stored already stay where they are.
      </p>
    </div>
  );
}
