/** Lets the engine worker handle messages while it computes: a stop, a report of the experts, or a read that is done. */
import { pendingMessages } from '../../store/pending-messages.ts';

/** Milliseconds after which waiting messages are handled. */
const INTERVAL_MS = 16;

/** One per model, not per token: the tokens of a small model take less time than the interval. */
export class MessageYield {
  #last = performance.now();

  /** Handles waiting messages if that has not happened for a while. */
  async ifDue(): Promise<void> {
    if (performance.now() - this.#last < INTERVAL_MS) return;
    await pendingMessages();
    this.#last = performance.now();
  }
}
