/** Lets a worker that computes without waiting handle its messages from time to time: a stop, or a read that is done. */

/** A macrotask without the 4 ms of a timer. */
function macrotask(): Promise<void> {
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve) => {
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}

/** Milliseconds after which waiting messages are handled. */
const INTERVAL_MS = 8;

export class Breath {
  #last = performance.now();

  /** Handles waiting messages if that has not happened for a while. */
  async take(): Promise<void> {
    if (performance.now() - this.#last < INTERVAL_MS) return;
    await macrotask();
    this.#last = performance.now();
  }
}
