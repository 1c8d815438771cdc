/** What happens when the page opens. */
import { loadConversations, onStoreFailure } from '../chat/conversations.ts';
import { loadToken } from '../library/token.ts';
import { loadSettings } from '../settings/settings.ts';
import { startModels } from './models.ts';
import { report } from './problems.ts';
import { startSessions } from './sessions.ts';

export async function start(): Promise<void> {
  onStoreFailure(report);
  try {
    await Promise.all([loadSettings(), loadConversations(), loadToken()]);
    startSessions();
    await startModels();
  } catch (error) {
    report(error);
  }
}
