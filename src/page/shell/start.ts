/** Starts the page. */
import { effect, untracked } from '@preact/signals';
import { MixtabError } from '../../contract/errors.ts';
import { report } from '../services/problems.ts';
import { services } from '../services/services.ts';
import { loadToken } from '../state/access-token.ts';
import { loadConversations } from '../state/conversations.ts';
import { loadDrafts } from '../state/drafts.ts';
import { takeLeftMarks, watchTab } from '../state/load-mark.ts';
import { computeProblems, towardsModel } from '../state/models.ts';
import { modelToLoad } from '../state/no-model.ts';
import { atMost, isNotAnswering } from '../state/patient-read.ts';
import { loadSettings } from '../state/settings.ts';
import { unreadConversations, unreadSettings } from '../state/storage-health.ts';

/** How long the page waits for drafts and the access token before it continues. Both may come later. In milliseconds. */
const DRAFTS_MS = 2000;

/**
 * Loads what is stored, then a model. A database that does not answer is not waited for: what it has is applied once it
 * answers. Call it before the page is drawn: meanwhile the workers start on what takes long. Never rejects: errors are
 * shown to the user.
 */
export const start = (): Promise<void> => towardsModel(startPage);

async function startPage(): Promise<void> {
  const { sessions, storageKeeper, tabs, modelLoader, modelStore } = services;
  modelStore.prefetchBuiltin();
  const probed = modelLoader.probe();
  watchTab();
  try {
    const [failure] = await Promise.all([
      loadSettings(),
      atMost(DRAFTS_MS, loadDrafts()).then(loadConversations),
      atMost(DRAFTS_MS, loadToken()),
    ]);
    // Before that it would delete what belongs to conversations that are not read, or exceeds the default settings.
    whenRead(() => sessions.start());
    storageKeeper.start();
    tabs.start(() => void modelStore.refresh().catch(report));
    if (failure && !isNotAnswering(failure)) throw failure; // the models cannot be read either
    await loadFirstModel(probed);
  } catch (error) {
    report(error instanceof DOMException ? storageError(error) : error);
  } finally {
    modelStore.endPrefetch();
  }
}

/** Calls `work` once the conversations and the settings were read. */
function whenRead(work: () => void): void {
  const end = effect(() => {
    if (unreadConversations.value ?? unreadSettings.value) return;
    untracked(work);
    queueMicrotask(() => end());
  });
}

/**
 * On the first visit the built-in model is imported and loaded. Later the model used last is loaded.
 * @param probed resolves when it is known what can compute
 */
async function loadFirstModel(probed: Promise<void>): Promise<void> {
  const { modelLoader, modelStore } = services;
  await modelStore.refresh();
  // Over http the browser lacks what an import needs, and the probe says so.
  if (!modelToLoad.value && isSecureContext) return importFirstModel(probed);
  await probed;
  const last = modelToLoad.value;
  const left = (await takeLeftMarks()).find(({ modelId }) => modelId === last?.id);
  if (last && left) modelLoader.holdBack(last, left);
  else if (last) await modelLoader.loadCarefully(last);
}

/** Imports the built-in model while the browser finds a GPU, which takes as long as the first MB of the model. */
async function importFirstModel(probed: Promise<void>): Promise<void> {
  const { modelStore } = services;
  const imported = modelStore.importBuiltin();
  await probed;
  if (computeProblems.value.length > 0) await modelStore.cancelImport();
  await imported;
}

const storageError = ({ name, message }: DOMException): MixtabError =>
  name === 'SecurityError'
    ? new MixtabError(
        'storage-unavailable',
        `The browser blocks storage for this page (${message}).`,
        'Allow cookies and site data for this page, then reload it.',
      )
    : new MixtabError(
        'storage-unavailable',
        `The browser's storage cannot be used now (${message}).`,
        'Free disk space if there is little, and restart the browser.',
      );
