/** What happens when the page opens. */
import { loadConversations } from '../chat/conversations.ts';
import { loadSettings } from '../settings/settings.ts';
import { startModels } from './models.ts';
import { report } from './problems.ts';

export async function start(): Promise<void> {
  try {
    await Promise.all([loadSettings(), loadConversations()]);
    await startModels();
  } catch (error) {
    report(error);
  }
}
