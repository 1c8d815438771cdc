/**
 * What only a page sees, and its worker needs to know. The page sends it when the worker starts and before each load.
 */

/** Facts about a page and the machine it runs on. */
export interface PageFacts {
  /** `navigator.maxTouchPoints`, which workers lack. */
  maxTouchPoints: number;
  /** Identifies the worker that receives this among all workers of this site. */
  workerId: string;
  /** When pages of this site ended their workers: `Date.now` by worker. See {@link KEPT_CLOSINGS}. */
  closings: Record<string, number>;
}

/** As many of the latest closings are remembered. */
export const KEPT_CLOSINGS = 100;

/** Sent to a worker between comlink's messages. */
export interface PageFactsMessage {
  mixtabPageFacts: PageFacts;
}

const isPageFactsMessage = (data: unknown): data is PageFactsMessage =>
  typeof data === 'object' && data !== null && 'mixtabPageFacts' in data;

/** An id that no other worker has. */
export const newWorkerId = (): string => `${Date.now()}-${Math.random()}`;

let facts: PageFacts = { maxTouchPoints: 0, workerId: newWorkerId(), closings: {} };

/** The facts that this worker received last; without any, those of a computer where no page was ever closed. */
export const pageFacts = (): PageFacts => facts;

/**
 * Receives the facts.
 *
 * Call it while the worker's entry point runs: the browser queues messages until then.
 */
export function receivePageFacts(target: Pick<EventTarget, 'addEventListener'> = globalThis): void {
  target.addEventListener('message', (event) => {
    const { data } = event as MessageEvent<unknown>;
    if (isPageFactsMessage(data)) facts = data.mixtabPageFacts;
  });
}
