/** Lets a worker that computes without waiting handle its messages from time to time: a stop, or a read that is done. */

/**
 * One channel for all waits. A channel of its own for each could be collected as garbage before its message arrives,
 * because nothing else refers to it.
 */
const channel = new MessageChannel();
/** Those who wait, oldest first. */
const waiting: (() => void)[] = [];
channel.port1.onmessage = () => waiting.shift()?.();
// In Node an open port would keep the process alive.
(channel.port1 as { unref?: () => void }).unref?.();

/** A macrotask without the 4 ms of a timer. */
function macrotask(): Promise<void> {
  return new Promise((resolve) => {
    waiting.push(resolve);
    channel.port2.postMessage(undefined);
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
