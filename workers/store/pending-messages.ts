/** Lets a worker that works without waiting handle its messages. */

/** The ports that will get a message. Without this reference they could be collected as garbage before it arrives. */
const waiting = new Set<MessagePort>();

/**
 * Resolves after the messages that have arrived were handled, for example a cancellation. A timer would wait for 4 ms.
 */
export function pendingMessages(): Promise<void> {
  const { port1, port2 } = new MessageChannel();
  waiting.add(port1);
  return new Promise((resolve) => {
    port1.onmessage = () => {
      waiting.delete(port1);
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}
