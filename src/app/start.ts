/** What happens when the page opens. */
import { loadConversations, onStoreFailure } from '../chat/conversations.ts';
import { MixtabError } from '../contract/errors.ts';
import { loadToken } from '../library/token.ts';
import { loadSettings } from '../settings/settings.ts';
import { refreshModels, startModels } from './models.ts';
import { report } from './problems.ts';
import { startSessions } from './sessions.ts';
import { startTabs } from './tabs.ts';

export async function start(): Promise<void> {
  onStoreFailure(report);
  try {
    await Promise.all([loadSettings(), loadConversations(), loadToken()]);
    startSessions();
    startTabs(() => void refreshModels().catch(report));
    await startModels();
  } catch (error) {
    report(error instanceof DOMException ? nothingKept(error) : error);
  }
}

const nothingKept = ({ message }: DOMException): MixtabError =>
  new MixtabError(
    'storage-unavailable',
    `The browser lets this page keep nothing (${message}).`,
    'Allow cookies and site data for this page, and reload it.',
  );
