/** The worker's side of a compute thread: see `ThreadPool` for the other end. */
import { errorToData } from '../../../src/contract/errors.ts';
import { ComputeThread, type SliceBytes } from './compute-thread.ts';
import type { ThreadMessage, ThreadReply } from './thread-pool.ts';

/** Executes the messages of a {@link ThreadPool} in order. After a failure it answers nothing more. */
export function serveThread(scope: Pick<DedicatedWorkerGlobalScope, 'postMessage' | 'addEventListener'>): void {
  let thread: ComputeThread | undefined;
  let hasFailed = false;
  const reply = (message: ThreadReply, transfer: Transferable[] = []): void => scope.postMessage(message, transfer);
  scope.addEventListener('message', ({ data }: MessageEvent<ThreadMessage>) => {
    if (hasFailed) return;
    try {
      if (data.type === 'ping') reply({ type: 'result', result: undefined });
      else if (data.type === 'start') thread = new ComputeThread(data.module, data.shape);
      else execute(thread!, data, reply);
    } catch (error) {
      hasFailed = true;
      reply({ type: 'failed', error: errorToData(error) });
    }
  });
}

type AnyMethod = (...args: unknown[]) => unknown;

function execute(
  thread: ComputeThread,
  message: Exclude<ThreadMessage, { type: 'start' | 'ping' }>,
  reply: (message: ThreadReply, transfer?: Transferable[]) => void,
): void {
  const { method, args } = message;
  const result = (thread[method] as AnyMethod).apply(thread, args);
  if (message.type === 'call') reply({ type: 'result', result }, [(result as Float32Array<ArrayBuffer>).buffer]);
  if (method === 'upload') {
    const { buffer } = (args[1] as SliceBytes).bytes;
    reply({ type: 'recycle', buffer }, [buffer]);
  }
}
