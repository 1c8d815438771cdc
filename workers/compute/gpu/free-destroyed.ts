/** Lets the browser free destroyed buffers. */
import { withFirefoxPoll } from './firefox-poll.ts';

/**
 * Waits until the memory of all buffers that were destroyed is free. Chromium keeps it until the uploads into them have
 * ended, and begins those only with the next submission. Without one, models that are loaded in turn without an answer
 * would stay in memory together. Never rejects: if the device is lost, nothing is kept anyway.
 */
export async function freeDestroyed({ queue }: GPUDevice): Promise<void> {
  try {
    queue.submit([]);
    await withFirefoxPoll(queue, queue.onSubmittedWorkDone());
  } catch {
    // lost
  }
}
