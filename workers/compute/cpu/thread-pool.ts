/**
 * The compute threads of a model: one in this worker, the others in workers of their own. Each step of a layer is one
 * message to every other thread and one back, or in isolated pages a request through shared memory.
 */
import { type ErrorData, errorFromData, MixtabError } from '../../../src/contract/errors.ts';
import { pendingMessages } from '../../store/pending-messages.ts';
import { ComputeThread, type SliceBytes } from './compute-thread.ts';
import { ExchangeCaller, type StepArgument } from './shared-exchange.ts';
import type { ThreadShape } from './thread-shape.ts';

/** The methods that all threads run together. */
export type Step = 'attention' | 'attentionOutput' | 'gateUp' | 'down' | 'head' | 'readKv';
/** The methods that one thread runs by itself and that return nothing. */
export type Command = 'addLayer' | 'addOutput' | 'reserveSlots' | 'upload' | 'writeKv';

/** Messages to a worker. It executes them in order, and answers every `ping` and every `call` with a result. */
export type ThreadMessage =
  | { type: 'ping' }
  /** The thread is to look at its {@link ExchangeServer}; the first of these has its memory. */
  | { type: 'attend'; memory?: SharedArrayBuffer }
  | { type: 'start'; module: WebAssembly.Module; shape: ThreadShape }
  | { type: 'call'; method: Step; args: unknown[] }
  | { type: 'command'; method: Command; args: unknown[] };

export type ThreadReply =
  | { type: 'result'; result: unknown }
  /** The thread is useless after this. */
  | { type: 'failed'; error: ErrorData }
  /** Memory of an uploaded slice, for the next read. */
  | { type: 'recycle'; buffer: ArrayBuffer };

/** The part of a Worker that the pool needs. */
export interface ThreadWorker {
  postMessage(message: ThreadMessage, transfer: Transferable[]): void;
  onmessage: ((event: MessageEvent<ThreadReply>) => void) | null;
  onerror: ((event: ErrorEvent) => void) | null;
  terminate(): void;
}

export interface ThreadPoolOptions {
  module: WebAssembly.Module;
  /** One per thread. */
  shapes: readonly ThreadShape[];
  /** Starts a worker for a thread other than the first. */
  createWorker: () => ThreadWorker;
  /** Receives the memory of uploaded slices. */
  recycle: (buffer: ArrayBuffer) => void;
  /** Whether the workers share memory with this one: see `hasSharedMemory`. */
  sharesMemory: boolean;
}

/** The steps that go through shared memory, by the number that stands for them there. */
export const SHARED_STEPS = ['attention', 'attentionOutput', 'gateUp', 'down', 'head'] as const satisfies Step[];
/** How long this worker waits for a step in shared memory before it handles its messages, in milliseconds. */
const WAIT_MS = 8;

type Method<M extends Step> = (...args: Parameters<ComputeThread[M]>) => ReturnType<ComputeThread[M]>;

export class ThreadPool {
  readonly #own: ComputeThread;
  readonly #others: RemoteThread[];
  readonly #failure = new AbortController();
  #ms = 0;

  constructor({ module, shapes, createWorker, recycle, sharesMemory }: ThreadPoolOptions) {
    this.#own = new ComputeThread(module, shapes[0]);
    const fail = (error: MixtabError): void => this.#failure.abort(error);
    this.#others = shapes.slice(1).map((shape) => {
      const exchange = sharesMemory ? new ExchangeCaller(stepFloats(shape)) : undefined;
      const thread = new RemoteThread(createWorker(), { recycle, onFailure: fail, exchange });
      thread.post({ type: 'start', module, shape });
      return thread;
    });
  }

  /** How many threads there are. */
  get size(): number {
    return 1 + this.#others.length;
  }

  /** Aborted if a worker dies, with a MixtabError as its reason. */
  get failure(): AbortSignal {
    return this.#failure.signal;
  }

  /** Milliseconds spent computing so far. */
  get computeMs(): number {
    return this.#ms;
  }

  /**
   * Runs a step in all threads. One step at a time.
   * @returns the result of each thread, valid until the next step
   * @throws MixtabError `worker-failed`, `out-of-memory`
   */
  async run<M extends Step>(method: M, ...args: Parameters<ComputeThread[M]>): Promise<ReturnType<ComputeThread[M]>[]> {
    const startedAt = performance.now();
    for (const thread of this.#others) thread.start(method, args);
    const results = [(this.#own[method] as Method<M>).apply(this.#own, args)];
    for (const thread of this.#others) {
      const result = thread.result();
      // Waiting for what is already there would cost as much as a short step.
      results.push((result instanceof Promise ? await result : result) as ReturnType<ComputeThread[M]>);
    }
    this.#ms += performance.now() - startedAt;
    return results;
  }

  /** Adds the next layer to one thread. Its failures are reported by the next {@link run}. */
  addLayer(thread: number, slice: SliceBytes): void {
    this.#command(thread, 'addLayer', [slice], [slice.bytes.buffer]);
  }

  /** Adds the next part of the output matrix to one thread. */
  addOutput(thread: number, slice: SliceBytes): void {
    this.#command(thread, 'addOutput', [slice], [slice.bytes.buffer]);
  }

  /** See {@link ComputeThread.reserveSlots}. */
  reserveSlots(thread: number, sizes: readonly number[]): void {
    this.#command(thread, 'reserveSlots', [sizes]);
  }

  /** Fills a slot of one thread with its rows of an expert. The slice's memory is then recycled. */
  upload(thread: number, slot: number, slice: SliceBytes): void {
    this.#command(thread, 'upload', [slot, slice], [slice.bytes.buffer]);
  }

  /** Writes keys or values of one thread. */
  writeKv(thread: number, ...args: Parameters<ComputeThread['writeKv']>): void {
    this.#command(thread, 'writeKv', args);
  }

  /** Waits until all threads have executed their commands. @throws MixtabError `worker-failed`, `out-of-memory` */
  async settled(): Promise<void> {
    await Promise.all(this.#others.map((thread) => thread.request({ type: 'ping' })));
  }

  destroy(): void {
    for (const thread of this.#others) thread.terminate();
  }

  /** @param transfer memory that a thread in another worker takes over; this worker's own thread only reads it */
  #command<M extends Command>(
    thread: number,
    method: M,
    args: Parameters<ComputeThread[M]>,
    transfer: Transferable[] = [],
  ): void {
    if (thread === 0) (this.#own[method] as (...own: Parameters<ComputeThread[M]>) => void).apply(this.#own, args);
    else this.#others[thread - 1].post({ type: 'command', method, args }, transfer);
  }
}

interface RemoteThreadOptions {
  recycle: (buffer: ArrayBuffer) => void;
  onFailure: (error: MixtabError) => void;
  /** undefined: everything goes through messages. */
  exchange: ExchangeCaller | undefined;
}

/** The other end of a thread in a worker of its own. */
class RemoteThread {
  /** The calls that have no reply yet, oldest first. */
  readonly #calls: { resolve: (result: unknown) => void; reject: (error: unknown) => void }[] = [];
  readonly #exchange: ExchangeCaller | undefined;
  /** The step that was started last, if it goes by messages. */
  #running: Promise<unknown> | undefined;
  #error: unknown;

  constructor(
    private readonly worker: ThreadWorker,
    { recycle, onFailure, exchange }: RemoteThreadOptions,
  ) {
    worker.onmessage = ({ data }) => {
      if (data.type === 'result') this.#calls.shift()?.resolve(data.result);
      else if (data.type === 'recycle') recycle(data.buffer);
      else this.#fail(errorFromData(data.error), onFailure);
    };
    worker.onerror = ({ message }) => this.#fail(workerFailed(message), onFailure);
    this.#exchange = exchange;
    if (exchange) this.post({ type: 'attend', memory: exchange.buffer });
  }

  post(message: ThreadMessage, transfer: Transferable[] = []): void {
    this.worker.postMessage(message, transfer);
    this.#exchange?.messagePosted();
  }

  /** Starts a step. One at a time: {@link result} comes next. */
  start<M extends Step>(method: M, args: Parameters<ComputeThread[M]>): void {
    const step = (SHARED_STEPS as readonly Step[]).indexOf(method);
    // The logits of several tokens, which only scores need, would take much more shared memory than all other steps.
    const isScore = method === 'head' && args.at(-1) === true;
    if (!this.#exchange || step < 0 || isScore) {
      this.#running = this.#call(method, args);
      return;
    }
    this.#running = undefined;
    const { needsMessage } = this.#exchange.request(step, args as StepArgument[]);
    if (needsMessage) this.post({ type: 'attend' });
  }

  /** The result of the step that was started last; a promise if it takes longer than a moment. */
  result(): unknown {
    return this.#running ?? this.#exchange!.answer(WAIT_MS) ?? this.#lateAnswer(this.#exchange!);
  }

  /** Runs a step by messages. Floats may be views of a whole memory, so they are copied first. */
  #call<M extends Step>(method: M, args: Parameters<ComputeThread[M]>): Promise<unknown> {
    const own = args.map((arg: unknown) => (arg instanceof Float32Array ? arg.slice() : arg));
    const transfer = own.flatMap((arg) => (arg instanceof Float32Array ? [arg.buffer] : []));
    return this.request({ type: 'call', method, args: own }, transfer);
  }

  /** Waits for a step without ignoring messages, which may say that the thread has failed. */
  async #lateAnswer(exchange: ExchangeCaller): Promise<Float32Array> {
    for (;;) {
      await pendingMessages();
      if (this.#error) throw this.#error;
      const answer = exchange.answer(WAIT_MS);
      if (answer) return answer;
    }
  }

  /** Sends a message that is answered. */
  request(message: ThreadMessage, transfer: Transferable[] = []): Promise<unknown> {
    if (this.#error) return Promise.reject(this.#error);
    const result = new Promise((resolve, reject) => this.#calls.push({ resolve, reject }));
    result.catch(() => {}); // whoever awaits it gets the error, even if this thread's own part fails first
    this.post(message, transfer);
    return result;
  }

  terminate(): void {
    this.worker.terminate();
  }

  #fail(error: MixtabError, onFailure: (error: MixtabError) => void): void {
    this.#error = error;
    for (const { reject } of this.#calls.splice(0)) reject(error);
    onFailure(error);
  }
}

/** The most floats that a step through shared memory takes from or gives to a thread: a chunk of tokens, or logits. */
function stepFloats({ config, rows, chunkTokens }: ThreadShape): number {
  const { embeddingLength, feedForwardLength, headCount, headDim, expertCount, ropeDimensionCount } = config;
  const perToken = Math.max(embeddingLength + ropeDimensionCount, headCount * headDim, feedForwardLength);
  // A single token is the input of several experts, but each has an output of its own.
  return Math.max(Math.max(chunkTokens, expertCount) * perToken, rows.output);
}

const workerFailed = (message: string): MixtabError =>
  new MixtabError(
    'worker-failed',
    `A worker that computes the model has stopped (${message || 'no reason given'}).`,
    'Load the model again; if this happens again, lower the memory budget in the settings.',
  );
