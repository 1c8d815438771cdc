/** Starts the page. */
import { MixtabError } from '../../contract/errors.ts';
import { report } from '../services/problems.ts';
import { services } from '../services/services.ts';
import { loadToken } from '../state/access-token.ts';
import { loadConversations } from '../state/conversations.ts';
import { takeLeftMark, watchTab } from '../state/load-mark.ts';
import { computeProblems, models } from '../state/models.ts';
import { loadSettings, settings } from '../state/settings.ts';

/** Loads what is stored, then a model. Never rejects: errors are shown to the user. */
export async function start(): Promise<void> {
  const { sessions, storageKeeper, tabs, modelStore } = services;
  watchTab();
  try {
    await Promise.all([loadSettings(), loadConversations(), loadToken()]);
    sessions.start();
    storageKeeper.start();
    tabs.start(() => void modelStore.refresh().catch(report));
    await loadFirstModel();
  } catch (error) {
    report(error instanceof DOMException ? storageBlocked(error) : error);
  }
}

/** On the first visit the built-in model is imported and loaded. Later the model used last is loaded. */
async function loadFirstModel(): Promise<void> {
  const { modelLoader, modelStore, tabs } = services;
  await Promise.all([modelStore.refresh(), modelLoader.probe()]);
  const complete = models.value.filter(({ state }) => state === 'complete');
  const last = complete.find(({ id }) => id === settings.value.lastModelId) ?? complete[0];
  const left = await takeLeftMark();
  if (last && left?.modelId === last.id) modelLoader.holdBack(last, left);
  else if (last && (await tabs.takesTooMuchBesideOthers(last))) modelLoader.leaveToOtherTab(last);
  else if (last) await modelLoader.load(last);
  else if (computeProblems.value.length === 0) await modelStore.importBuiltin();
}

const storageBlocked = ({ message }: DOMException): MixtabError =>
  new MixtabError(
    'storage-unavailable',
    `The browser blocks storage for this page (${message}).`,
    'Allow cookies and site data for this page, then reload it.',
  );
