/**
 * Requests of imports and the change to a new version of the page keep out of each other's way, in all tabs. Chromium
 * starts an earlier service worker again if there is a request while that one ends, and then keeps it for minutes
 * (docs/reliability.md). Requests share a lock, and the change has it alone.
 */

const NAME = 'mixtab-requests';
/** How long the change waits for the answers to requests that were sent before, in milliseconds. */
const PATIENCE_MS = 3000;

/** Absent in Node.js and over plain http. */
const locks = (): LockManager | undefined => (globalThis.navigator as Partial<Navigator> | undefined)?.locks;

/** Sends a request, unless a new version takes over just now: then it is sent some seconds later. */
export async function sendRequest<T>(send: () => Promise<T>): Promise<T> {
  let sent: Promise<T> | undefined;
  const sendOnce = (): Promise<T> => {
    sent ??= send();
    return sent;
  };
  try {
    return await (locks()?.request(NAME, { mode: 'shared' }, sendOnce) ?? sendOnce());
  } catch (error) {
    if (sent) throw error;
    return sendOnce(); // the browser blocks locks together with storage
  }
}

/**
 * Waits until no request waits for its answer, but not for long, and holds back new ones.
 * @returns a function that lets them go
 */
export async function holdRequests(): Promise<() => void> {
  let release = (): void => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), PATIENCE_MS);
  await new Promise<void>((resolve) => {
    const hold = (): Promise<void> => {
      clearTimeout(timer);
      resolve();
      return released;
    };
    // Aborted or blocked: the change is tried all the same.
    const failed = (): void => resolve();
    const held = locks()?.request(NAME, { signal: controller.signal }, hold);
    if (held) held.catch(failed);
    else resolve();
  });
  clearTimeout(timer);
  return release;
}
