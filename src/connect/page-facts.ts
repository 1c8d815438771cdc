/** Collects what only the page sees, for its worker. */
import type { PageFacts, PageFactsMessage } from '../contract/page-facts.ts';

const CLOSED_AT = 'mixtab-closed-at';

/**
 * Notes that the user closes this page or ends its worker. Written at once: a page that closes has no time to wait for a
 * database. A page that crashes notes nothing.
 */
export function noteClosing(): void {
  try {
    localStorage.setItem(CLOSED_AT, String(Date.now()));
  } catch {
    // The browser blocks storage. Then nothing is remembered about the GPU either.
  }
}

/** The message with the facts of this page. */
export const pageFactsMessage = (): PageFactsMessage => ({ mixtabPageFacts: factsOf() });

function factsOf(): PageFacts {
  const closedAt = readClosedAt();
  return { maxTouchPoints: navigator.maxTouchPoints ?? 0, ...(closedAt > 0 && { closedAt }) };
}

function readClosedAt(): number {
  try {
    return Number(localStorage.getItem(CLOSED_AT)) || 0;
  } catch {
    return 0;
  }
}
