/** What only a page sees, and its worker needs to know. The page sends it when the worker starts. */

/** Facts about a page and the machine it runs on. */
export interface PageFacts {
  /** `navigator.maxTouchPoints`, which workers lack. */
  maxTouchPoints: number;
  /** `Date.now` when the user last closed a page of this site or ended its worker; absent if that is not known. */
  closedAt?: number;
}

/** Sent to a worker between comlink's messages. */
export interface PageFactsMessage {
  mixtabPageFacts: PageFacts;
}

const isPageFactsMessage = (data: unknown): data is PageFactsMessage =>
  typeof data === 'object' && data !== null && 'mixtabPageFacts' in data;

let facts: PageFacts = { maxTouchPoints: 0 };

/** The facts that this worker received; without any, those of a computer whose page was never closed. */
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
