/** A compute thread in a worker of Node, for tests. */
import { parentPort } from 'node:worker_threads';
import { serveThread } from './serve-thread.ts';

const port = parentPort!;
serveThread({
  addEventListener: (_type: string, listener: (event: { data: unknown }) => void) => {
    port.on('message', (data) => listener({ data }));
  },
  postMessage: (message: unknown, transfer: never[]) => port.postMessage(message, transfer),
} as never);
