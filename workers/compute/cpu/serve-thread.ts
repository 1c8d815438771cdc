/** The worker's side of a compute thread: see `ThreadPool` for the other end. */
import { errorToData } from '../../../src/contract/errors.ts';
import { ComputeThread, type SliceBytes } from './compute-thread.ts';
import { ExchangeServer, PING } from './shared-exchange.ts';
import { SHARED_STEPS, type ThreadMessage, type ThreadReply } from './thread-pool.ts';

/** Executes the messages and steps of a {@link ThreadPool} in order. After a failure it answers nothing more. */
export function serveThread(scope: Pick<DedicatedWorkerGlobalScope, 'postMessage' | 'addEventListener'>): void {
  let thread: ComputeThread | undefined;
  let exchange: ExchangeServer | undefined;
  let received = 0;
  let hasFailed = false;
  const runStep = (step: number, args: unknown[]): Float32Array =>
    step === PING ? new Float32Array(0) : (thread![SHARED_STEPS[step]] as AnyStep).apply(thread, args);
  const reply = (message: ThreadReply, transfer: Transferable[] = []): void => scope.postMessage(message, transfer);
  scope.addEventListener('message', ({ data }: MessageEvent<ThreadMessage>) => {
    if (hasFailed) return;
    received++;
    try {
      if (data.type === 'attend') exchange ??= new ExchangeServer(data.memory!, runStep);
      else if (data.type === 'ping') reply({ type: 'result', result: undefined });
      else if (data.type === 'start') thread = new ComputeThread(data.module, data.shape);
      else execute(thread!, data, reply);
      exchange?.attend(received);
    } catch (error) {
      hasFailed = true;
      reply({ type: 'failed', error: errorToData(error) });
    }
  });
}

type AnyMethod = (...args: unknown[]) => unknown;
type AnyStep = (...args: unknown[]) => Float32Array;

function execute(
  thread: ComputeThread,
  message: Exclude<ThreadMessage, { type: 'start' | 'ping' | 'attend' }>,
  reply: (message: ThreadReply, transfer?: Transferable[]) => void,
): void {
  const { method, args } = message;
  const result = (thread[method] as AnyMethod).apply(thread, args);
  if (message.type === 'call') {
    // An output of floats may be a view of the thread's memory, which stays here.
    const own = result instanceof Float32Array ? result.slice() : (result as Uint8Array<ArrayBuffer>);
    reply({ type: 'result', result: own }, [own.buffer]);
  }
  if (method === 'upload') {
    const { buffer } = (args[1] as SliceBytes).bytes;
    reply({ type: 'recycle', buffer }, [buffer]);
  }
}
