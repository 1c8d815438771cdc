/**
 * The way from a page's import worker to its engine worker and back. On it, the engine gets the records of a small model
 * that has just been imported, from memory instead of from the store: see workers/store/hand-over.ts. The window passes
 * the messages on. A MessagePort between the workers would copy the bytes: in Firefox, 16 MB take 200 ms.
 */

/** Sent between comlink's messages. */
export interface HandOverMessage {
  /** null, from the window: the two workers are connected, or one of them has been replaced. */
  mixtabHandOver: unknown;
  /** Buffers in the content, which are transferred. */
  buffers?: ArrayBuffer[];
}

export const isHandOverMessage = (data: unknown): data is HandOverMessage =>
  typeof data === 'object' && data !== null && 'mixtabHandOver' in data;

/** A worker's end of the way. */
export interface HandOverEnd {
  /** Whether anybody passes messages on. */
  readonly isConnected: boolean;
  /** @param buffers in the content, which are transferred */
  send(content: unknown, buffers?: ArrayBuffer[]): void;
  /** Calls `listener` with each message, and with null if the other worker has been replaced. */
  onMessage(listener: (content: unknown) => void): void;
}

/** A worker's scope, or a part of it. */
type Scope = Pick<EventTarget, 'addEventListener'> & {
  postMessage(message: unknown, transfer: Transferable[]): void;
};

/** Returns this worker's end. Call it while the worker's entry point runs: the browser queues messages until then. */
export function handOverEnd(scope: Scope = globalThis as unknown as Scope): HandOverEnd {
  let isConnected = false;
  let listener = (_content: unknown): void => {};
  scope.addEventListener('message', (event) => {
    const { data } = event as MessageEvent<unknown>;
    if (!isHandOverMessage(data)) return;
    isConnected = true;
    listener(data.mixtabHandOver);
  });
  return {
    get isConnected() {
      return isConnected;
    },
    send: (content, buffers = []) =>
      scope.postMessage({ mixtabHandOver: content, buffers } satisfies HandOverMessage, buffers),
    onMessage(receive) {
      listener = receive;
    },
  };
}
