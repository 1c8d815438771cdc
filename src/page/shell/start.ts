/** What happens when the page opens. */

import { MixtabError } from '../../contract/errors.ts';
import { refreshModels, startModels } from '../services/models.ts';
import { report } from '../services/problems.ts';
import { startSessions } from '../services/sessions.ts';
import { startTabs } from '../services/tabs.ts';
import { loadToken } from '../state/access-token.ts';
import { loadConversations, onStoreFailure } from '../state/conversations.ts';
import { loadSettings } from '../state/settings.ts';

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
    `The browser blocks storage for this page (${message}).`,
    'Allow cookies and site data for this page, then reload it.',
  );
