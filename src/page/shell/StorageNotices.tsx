import { IconButton } from '../../ui/IconButton.tsx';
import { exportAll } from '../services/conversation-files.ts';
import { services } from '../services/services.ts';
import { isWorthKeeping } from '../state/conversation-tree.ts';
import { conversations } from '../state/conversations.ts';
import { deletesUnvisited, disk } from '../state/disk.ts';
import { changeSettings, settings } from '../state/settings.ts';
import { lostConversations, restoredConversations, saveFailure } from '../state/storage-health.ts';

/** Whether what the user wrote is on the disk, and will stay there. */
export function StorageNotices() {
  return (
    <>
      {saveFailure.value && <NotSaved />}
      {restoredConversations.value > 0 && <Restored />}
      {lostConversations.value > 0 && <Lost />}
      <SevenDaysHint />
    </>
  );
}

const count = (n: number): string => (n === 1 ? '1 conversation' : `${n} conversations`);

const ExportButton = () => (
  <button type="button" onClick={exportAll}>
    Export all conversations
  </button>
);

/** Shown until everything is stored, so it cannot be dismissed. */
function NotSaved() {
  const { message = '', remedy = '' } = saveFailure.value ?? {};
  return (
    <div class="notice problem" role="alert">
      <div>
        <p>
          <strong>{message}</strong> {remedy}
        </p>
        <div class="row">
          <button type="button" class="primary" onClick={() => void services.storageKeeper.tryAgain()}>
            Try again
          </button>
          {conversations.value.length > 0 && <ExportButton />}
        </div>
      </div>
    </div>
  );
}

function Restored() {
  return (
    <div class="notice problem" role="alert">
      <div>
        <p>
          <strong>The browser had deleted what this page stores.</strong> {count(restoredConversations.value)} that this
          tab still had were saved again. The disk may be full. To delete them for good, close this page before you
          delete its data.
        </p>
        <div class="row">
          <ExportButton />
        </div>
      </div>
      <IconButton icon="close" label="Dismiss" onClick={() => (restoredConversations.value = 0)} />
    </div>
  );
}

function Lost() {
  return (
    <div class="notice problem" role="alert">
      <p>
        <strong>The browser has deleted {count(lostConversations.value)} that this page stored.</strong> The disk may be
        full, or the data of this site was cleared. A file that you exported can be imported again.
      </p>
      <IconButton icon="close" label="Dismiss" onClick={() => (lostConversations.value = 0)} />
    </div>
  );
}

/** Shown until it is dismissed: this browser deletes the data of pages that are not visited. */
function SevenDaysHint() {
  const isAtRisk = deletesUnvisited() && disk.value?.persisted === false && conversations.value.some(isWorthKeeping);
  if (!isAtRisk || settings.value.sevenDaysHintDismissed) return null;
  return (
    <div class="notice inline minor" role="status">
      <p>
        Safari deletes what a page stores if you do not visit it for seven days. To keep your conversations, add this
        page to the home screen or the Dock, or export them.
      </p>
      <div class="row">
        <ExportButton />
        <IconButton icon="close" label="Dismiss" onClick={() => changeSettings({ sevenDaysHintDismissed: true })} />
      </div>
    </div>
  );
}
