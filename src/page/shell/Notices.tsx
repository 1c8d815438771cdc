import { useEffect, useState } from 'preact/hooks';
import { excerpt } from '../../contract/errors.ts';
import { formatBytes } from '../../contract/format-bytes.ts';
import type { ImportProgress, ModelSummary } from '../../contract/import-api.ts';
import { formatDuration } from '../../ui/format.ts';
import { IconButton } from '../../ui/IconButton.tsx';
import { services } from '../services/services.ts';
import { busyWith } from '../state/busy.ts';
import { conversations, deleted, openConversation, undoDelete } from '../state/conversations.ts';
import { experiment, stopHangs, stopping } from '../state/generation.ts';
import { importedModel, type RunningImport, runningImport } from '../state/imports.ts';
import { codeMissing } from '../state/lazy-code.ts';
import { type Loading, loaded, loadedElsewhere, loading } from '../state/models.ts';
import { type PageUpdate, updateReady } from '../state/notices.ts';
import { view } from '../state/route.ts';
import { changedElsewhere } from '../state/settings.ts';
import { bytesPerSecond, type Rate } from '../state/transfer-rate.ts';
import { notReopened } from '../state/unfinished-drawing.ts';
import { ProblemNotice } from './ProblemNotice.tsx';
import { GpuHint, ProblemNotices } from './ProblemNotices.tsx';
import { StorageNotices } from './StorageNotices.tsx';

/** How long a deletion can be undone. */
const UNDO_MS = 15_000;

/** Progress, problems and offers, above the composer or below the title of a view. */
export function Notices() {
  return (
    <div class="notices">
      <ProblemNotices />
      <StorageNotices />
      {notReopened.value && <NotReopenedNotice id={notReopened.value} />}
      {codeMissing.value && <CodeMissingNotice />}
      {runningImport.value && <ImportNotice running={runningImport.value} />}
      {loading.value && <LoadNotice />}
      {stopHangs.value && <HangNotice />}
      <GpuHint />
      <OtherTabNotice />
      {changedElsewhere.value && loaded.value && <ChangedSettingsNotice />}
      {experiment.value && view.value !== 'experts' && <ExperimentNotice />}
      {importedModel.value && <ImportedNotice model={importedModel.value} />}
      {deleted.value && <UndoNotice key={deleted.value.id} title={deleted.value.title} />}
      {updateReady.value && <UpdateNotice {...updateReady.value} />}
    </div>
  );
}

function UpdateNotice({ state, use }: PageUpdate) {
  if (state === 'delayed') {
    return (
      <p class="notice" role="status">
        The browser has not changed to the new version of mixtab yet, because the earlier one is still in use. This page
        is reloaded when it has. If that takes long, close the other tabs of mixtab.
      </p>
    );
  }
  return (
    <div class="notice inline" role="status">
      <p>
        A new version of mixtab is available.
        {busyWith.value && ` You can update when the ${busyWith.value} has ended.`}
      </p>
      {!busyWith.value && (
        <button type="button" disabled={state === 'switching'} onClick={use}>
          {state === 'switching' ? 'Updating' : 'Update now'}
        </button>
      )}
    </div>
  );
}

function ImportNotice({ running: { kind, name, progress, rate } }: { running: RunningImport }) {
  const done = progress && progress.phase !== 'header' ? progress.bytesDone : 0;
  const total = progress?.bytesTotal ?? 0;
  const verb = { import: 'Importing', verify: 'Verifying', repair: 'Repairing' }[kind];
  return (
    <div class="notice">
      <p>
        {verb} {name}
        {progress && done > 0 && `: ${progressText(progress, rate)}`}
      </p>
      <progress aria-label={`${verb} ${name}`} {...(total > 0 && done > 0 ? { value: done, max: total } : {})} />
      {progress?.warning && <p class="hint">{progress.warning}</p>}
      {kind === 'import' && <ImportActions progress={progress} bytesDone={done} />}
    </div>
  );
}

/** @param bytesDone bytes that are stored */
function ImportActions({ progress, bytesDone }: { progress: ImportProgress | undefined; bytesDone: number }) {
  const [confirming, setConfirming] = useState(false);
  const pause = (): void => services.modelStore.pauseImport();
  const cancel = (): void => void services.modelStore.cancelImport();
  if (confirming) {
    return (
      <div class="row">
        <span>Delete the {formatBytes(bytesDone)} that are stored?</span>
        <button type="button" class="bad" onClick={cancel}>
          Delete
        </button>
        <button type="button" onClick={pause}>
          Keep for later
        </button>
        <button type="button" class="quiet" onClick={() => setConfirming(false)}>
          Continue importing
        </button>
      </div>
    );
  }
  return (
    <div class="row">
      {progress?.usableId && progress.usableId !== loaded.value?.summary.id && !loading.value && (
        <button type="button" class="primary" onClick={() => void services.modelLoader.useEarly()}>
          Use while importing
        </button>
      )}
      <button type="button" onClick={pause}>
        Pause
      </button>
      <button type="button" class="quiet" onClick={() => (bytesDone > 0 ? setConfirming(true) : cancel())}>
        Cancel
      </button>
    </div>
  );
}

/** @returns bytes, records, rate and remaining time; the last two only once there is a rate */
function progressText({ bytesDone, bytesTotal, recordsDone, recordsTotal }: ImportProgress, rate: Rate): string {
  const perSecond = bytesPerSecond(rate);
  return [
    `${formatBytes(bytesDone)} of ${formatBytes(bytesTotal)}`,
    `${recordsDone} of ${recordsTotal} records`,
    ...(perSecond !== undefined ? [`${formatBytes(perSecond)}/s`] : []),
    ...(perSecond ? [`${formatDuration((bytesTotal - bytesDone) / perSecond)} left`] : []),
  ].join(' · ');
}

/** Shown once: other tabs have a model in memory as well. */
function OtherTabNotice() {
  const [dismissed, setDismissed] = useState(false);
  const { length } = loadedElsewhere.value;
  if (length === 0 || dismissed || !loaded.value) return null;
  return (
    <div class="notice inline" role="status">
      <p>
        {length === 1 ? 'Another tab also has' : `${length} other tabs also have`} a model in memory. All tabs share
        this memory.
      </p>
      <IconButton icon="close" label="Dismiss" onClick={() => setDismissed(true)} />
    </div>
  );
}

/** Another tab has changed the settings of computing and memory. A model is not loaded again without being asked. */
const ChangedSettingsNotice = () => (
  <div class="notice inline" role="status">
    <p>The computing settings were changed in another tab. The model in this tab still runs with the earlier ones.</p>
    <div class="row">
      <button type="button" disabled={busyWith.value !== undefined} onClick={() => void services.modelLoader.reload()}>
        Reload model
      </button>
      <IconButton icon="close" label="Dismiss" onClick={() => (changedElsewhere.value = false)} />
    </div>
  </div>
);

function ImportedNotice({ model }: { model: ModelSummary }) {
  return (
    <div class="notice inline">
      <p>{model.name} is imported.</p>
      <div class="row">
        <button type="button" onClick={() => void services.modelLoader.use(model)}>
          Use it now
        </button>
        <IconButton icon="close" label="Dismiss" onClick={() => (importedModel.value = undefined)} />
      </div>
    </div>
  );
}

function LoadNotice() {
  const load: Loading = loading.value ?? { name: '', progress: undefined };
  const { name, progress, stopping: isStopping } = load;
  const known = progress !== undefined && progress.bytesTotal > 0;
  return (
    <div class="notice">
      <p>{loadText(load)}</p>
      <progress
        aria-label={`Loading ${name}`}
        {...(known ? { value: progress.bytesDone, max: progress.bytesTotal } : {})}
      />
      <div class="row">
        <button type="button" class="quiet" disabled={isStopping} onClick={() => services.modelLoader.cancelLoad()}>
          {isStopping ? 'Cancelling' : 'Cancel loading'}
        </button>
      </div>
    </div>
  );
}

function loadText({ name, again, deviceAbsent }: Loading): string {
  if (!again) return `Loading ${name} …`;
  if (!deviceAbsent) return `The browser took the GPU away. Loading ${name} again …`;
  return `The browser took the GPU away and does not offer it yet. Trying again for two minutes to load ${name} …`;
}

/** The engine does not stop. It cannot be known whether a step is slow, or never ends. */
const HangNotice = () => (
  <ProblemNotice
    message="The model has not stopped yet."
    actions={
      <button type="button" class="primary" onClick={() => void services.modelLoader.restart()}>
        Restart the model
      </button>
    }
  >
    It may be in the middle of a slow step, or hang. A restart ends it at once and loads the model again. The text so
    far is kept.
  </ProblemNotice>
);

/** Shown in the other views while an experiment keeps the model busy. */
function ExperimentNotice() {
  return (
    <div class="notice inline">
      <p>
        The <a href="#experts">experts view</a> is using the model. You can send a message when it is done.
      </p>
      <button type="button" disabled={stopping.value} onClick={() => services.runs.stop()}>
        {stopping.value ? 'Stopping' : 'Stop experiment'}
      </button>
    </div>
  );
}

/** At the start: the conversation that was open last froze the page. */
function NotReopenedNotice({ id }: { id: string }) {
  const title = conversations.value.find((conversation) => conversation.id === id)?.title || 'Untitled';
  return (
    <div class="notice inline" role="alert">
      <p>“{excerpt(title)}” was not opened, because the page did not finish showing it the last time.</p>
      <div class="row">
        <button type="button" onClick={() => openConversation(id)}>
          Open it
        </button>
        <IconButton icon="close" label="Dismiss" onClick={() => (notReopened.value = undefined)} />
      </div>
    </div>
  );
}

/** Shown until the page is loaded again. Drafts and conversations are stored, so nothing is lost by that. */
const CodeMissingNotice = () => (
  <div class="notice problem" role="alert">
    <p>
      <strong>
        A part of this page could not be loaded, because the page was updated or the server is unreachable.
      </strong>
    </p>
    <button type="button" class="primary" onClick={() => location.reload()}>
      Reload the page
    </button>
  </div>
);

function UndoNotice({ title }: { title: string }) {
  const dismiss = (): void => {
    deleted.value = undefined;
  };
  useEffect(() => {
    const timer = setTimeout(dismiss, UNDO_MS);
    return () => clearTimeout(timer);
  }, []);
  return (
    <div class="notice inline" role="status">
      <p>Deleted “{title}”.</p>
      <div class="row">
        <button type="button" onClick={undoDelete}>
          Undo
        </button>
        <IconButton icon="close" label="Dismiss" onClick={dismiss} />
      </div>
    </div>
  );
}
