/** Collects what only the page sees, for its worker. */
import { KEPT_CLOSINGS, type PageFactsMessage } from '../contract/page-facts.ts';

/**
 * One item per closed worker. One item for all of them would lose some: tabs that close together, as when the browser
 * quits, would overwrite each other's.
 */
const CLOSED = 'mixtab-closed/';

/**
 * Notes that this page ends a worker: the user closes the page, or the page ends the worker. Written at once: a page
 * that closes has no time to wait for a database. A page that crashes notes nothing.
 */
export function noteClosing(workerId: string): void {
  try {
    localStorage.setItem(CLOSED + workerId, String(Date.now()));
    const oldestFirst = Object.entries(readClosings()).sort(([, a], [, b]) => a - b);
    for (const [id] of oldestFirst.slice(0, -KEPT_CLOSINGS)) localStorage.removeItem(CLOSED + id);
  } catch {
    // The browser blocks storage. Then nothing is remembered about the GPU either.
  }
}

/** After a page that was hidden is shown again: from here on its worker can only be ended by a new closing. */
export function forgetClosing(workerId: string): void {
  try {
    localStorage.removeItem(CLOSED + workerId);
  } catch {
    // Nothing was noted either.
  }
}

/** The message with the facts of this page. @param workerId of the worker that receives it */
export const pageFactsMessage = (workerId: string): PageFactsMessage => ({
  mixtabPageFacts: { maxTouchPoints: navigator.maxTouchPoints ?? 0, workerId, closings: readClosings() },
});

function readClosings(): Record<string, number> {
  try {
    const keys = Array.from({ length: localStorage.length }, (_, i) => localStorage.key(i) ?? '');
    const closed = keys.filter((key) => key.startsWith(CLOSED));
    return Object.fromEntries(closed.map((key) => [key.slice(CLOSED.length), Number(localStorage.getItem(key)) || 0]));
  } catch {
    return {};
  }
}
