import { IconButton } from '../../ui/IconButton.tsx';
import { exportAll } from '../services/conversation-files.ts';
import { services } from '../services/services.ts';
import { isWorthKeeping } from '../state/conversation-tree.ts';
import { conversations } from '../state/conversations.ts';
import { deletesUnvisited, disk } from '../state/disk.ts';
import { isNotAnswering } from '../state/patient-read.ts';
import { changeSettings, settings } from '../state/settings.ts';
import {
  diskWasFull,
  lostConversations,
  restoredConversations,
  saveFailure,
  unreadConversations,
} from '../state/storage-health.ts';
import { ProblemNotice } from './ProblemNotice.tsx';

/** Whether what the user wrote is on the disk, and will stay there. */
export function StorageNotices() {
  return (
    <>
      {unreadConversations.value && !isBlocked(unreadConversations.value) && (
        <Unread error={unreadConversations.value} />
      )}
      {saveFailure.value && <NotSaved />}
      {diskWasFull.value && !saveFailure.value && <WasFull />}
      {restoredConversations.value > 0 && <Restored />}
      {lostConversations.value && <Lost {...lostConversations.value} />}
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

/** The browser blocks all storage, which the page says anyway. */
const isBlocked = ({ name }: Error): boolean => name === 'SecurityError';

/** Shown until the conversations were read, so it cannot be dismissed. */
const Unread = ({ error }: { error: Error }) => (
  <ProblemNotice
    message={
      isNotAnswering(error)
        ? 'The browser has not delivered your conversations yet.'
        : `The browser cannot read your conversations now (${error.name}).`
    }
    actions={
      <button type="button" onClick={() => location.reload()}>
        Reload the page
      </button>
    }
  >
    {conversations.value.length === 0
      ? 'There are no copies of them to show.'
      : 'Copies of the newest ones are shown. The latest changes, older conversations and parts of long ones may be missing.'}{' '}
    All of them appear here as soon as they can be read. If that takes long, restart the browser.
  </ProblemNotice>
);

/** Shown until everything is stored, so it cannot be dismissed. */
function NotSaved() {
  const { message = '', remedy = '' } = saveFailure.value ?? {};
  const actions = (
    <>
      <button type="button" class="primary" onClick={() => void services.storageKeeper.tryAgain()}>
        Try again
      </button>
      {conversations.value.length > 0 && <ExportButton />}
    </>
  );
  return (
    <ProblemNotice message={message} actions={actions}>
      {remedy}
    </ProblemNotice>
  );
}

/** Chromium has deleted everything at the start after a full disk, but not always (docs/reliability.md). */
const WasFull = () => (
  <ProblemNotice
    message="There is space again, and everything is saved."
    actions={conversations.value.length > 0 && <ExportButton />}
    onDismiss={() => (diskWasFull.value = false)}
  >
    After a full disk, some browsers delete what pages store when they start again. This page keeps copies of your
    newest conversations where they should survive that. To be safe, export your conversations.
  </ProblemNotice>
);

const Restored = () => (
  <ProblemNotice
    message="The browser had deleted what this page stores."
    actions={<ExportButton />}
    onDismiss={() => (restoredConversations.value = 0)}
  >
    {count(restoredConversations.value)} that this tab still had were saved again. The disk may be full. To delete them
    for good, close this page before you delete its data.
  </ProblemNotice>
);

const Lost = ({ count: lost, restored }: { count: number; restored: number }) => (
  <ProblemNotice
    message={`The browser has lost what this page stored of ${count(lost)}.`}
    actions={restored > 0 && <ExportButton />}
    onDismiss={() => (lostConversations.value = undefined)}
  >
    {restoredText(lost, restored)} The disk may have been full, or the data of this site was cleared. A file that you
    exported can be imported again.
  </ProblemNotice>
);

/** The copies are those of `state/conversation-copies.ts`. */
function restoredText(lost: number, restored: number): string {
  if (restored === 0) return 'There were no copies.';
  const restoredOnes = lost === 1 ? 'It was restored from a copy' : `${restored} of ${lost} were restored from copies`;
  return `${restoredOnes} in the browser's local storage. The latest changes and parts of long texts may be missing.`;
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
