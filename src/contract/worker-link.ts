/** A worker behind its typed interface that is started again if it dies, so that no call waits for ever. */
import { aborted, MixtabError } from './errors.ts';
import { type Remote, wrap } from './rpc.ts';
import { DISK_LIMIT_MS, type WorkerEnd, watchWorker } from './worker-life.ts';

/** The part of a Worker that a link needs. */
export type LinkedWorker = Pick<Worker, 'addEventListener' | 'removeEventListener' | 'postMessage' | 'terminate'>;

/** Options of {@link WorkerLink}. */
export interface WorkerLinkOptions {
  /** Starts the worker. Its entry point calls `announceWorker`. */
  start: () => LinkedWorker;
  /** What it does, for error messages: `reads models`. */
  task: string;
  /** The error of calls that were running when the worker died. */
  died: Pick<MixtabError, 'code' | 'remedy'>;
  /** Methods that are called again, on the next worker, if a worker hangs while it starts one of its own. */
  repeatable?: readonly string[];
  /** The method that asks to stop what runs: while a call of it has no reply, nothing is called again. */
  stopping?: string;
  /** Called for each worker that was started, before it gets its first call. */
  onStart?: (worker: LinkedWorker) => void;
  /** Called before each call of a method. */
  onCall?: (worker: LinkedWorker, method: string) => void;
  /** Called before a worker is ended because it hangs while it starts one of its own. */
  onUnresponsive?: () => void;
  /** Called when a worker did not start or died, even if no call was running. */
  onFailure?: (error: MixtabError) => void;
  /** Default: {@link watchWorker}. */
  watch?: typeof watchWorker;
}

interface Running<Api> {
  worker: LinkedWorker;
  api: Remote<Api>;
  /** The calls that have no reply yet. */
  pending: Set<Pending>;
  endWatch: () => void;
}

interface Pending {
  method: string;
  reject: (error: MixtabError) => void;
  /** Makes the call again, if that is allowed. */
  repeat?: () => void;
}

/** Calls of one method are made at most this often. */
const MAX_ATTEMPTS = 3;

interface Call {
  method: string;
  args: unknown[];
  resolve: (result: unknown) => void;
  reject: (error: unknown) => void;
}

type AnyCall = (...args: unknown[]) => Promise<unknown>;

/**
 * One worker at a time. If it does not start or dies, its calls reject with `worker-unavailable` or the code that
 * `died` names, and with `storage-unavailable` if the disk does not answer it. The next call starts another one.
 */
export class WorkerLink<Api> {
  /** The worker's methods. */
  readonly api: Remote<Api>;
  readonly #options: WorkerLinkOptions;
  #running: Running<Api> | undefined;
  #isClosed = false;

  constructor(options: WorkerLinkOptions) {
    this.#options = options;
    this.api = new Proxy(
      {},
      {
        // An object with a method `then` would be taken for a promise.
        get: (_target, method) =>
          typeof method === 'string' && method !== 'then'
            ? (...args: unknown[]) => this.#call(method, args)
            : undefined,
      },
    ) as Remote<Api>;
  }

  /** Starts the worker if none runs, so that its code is loaded before the call. Failures are reported by calls. */
  open(): this {
    if (!this.#running && !this.#isClosed) this.#start();
    return this;
  }

  /** The worker that runs, if any. */
  get worker(): LinkedWorker | undefined {
    return this.#running?.worker;
  }

  /** Ends the worker. Running calls reject with `aborted`, and the next call starts another worker. */
  end(error: MixtabError = aborted()): void {
    const running = this.#running;
    this.#running = undefined;
    running?.endWatch();
    running?.worker.terminate();
    for (const { reject } of running?.pending ?? []) reject(error);
  }

  /** Ends the worker for good: later calls reject. */
  close(): void {
    this.#isClosed = true;
    this.end();
  }

  #call(method: string, args: unknown[]): Promise<unknown> {
    // Not Promise.race, which would keep every reply until the worker ends.
    return new Promise((resolve, reject) => this.#attempt({ method, args, resolve, reject }, 1));
  }

  #attempt(call: Call, attempt: number): void {
    const { method, args, resolve, reject } = call;
    const running = this.#isClosed ? undefined : (this.#running ?? this.#start());
    if (!running) {
      reject(this.#isClosed ? aborted('The worker was closed.') : this.#error('not-started'));
      return;
    }
    const mayRepeat = attempt < MAX_ATTEMPTS && this.#options.repeatable?.includes(method);
    const pending: Pending = { method, reject, ...(mayRepeat && { repeat: () => this.#attempt(call, attempt + 1) }) };
    running.pending.add(pending);
    this.#options.onCall?.(running.worker, method);
    (running.api as unknown as Record<string, AnyCall>)
      [method](...args)
      .then(resolve, reject)
      .finally(() => void running.pending.delete(pending));
  }

  /** @returns undefined if the browser refuses to start a worker */
  #start(): Running<Api> | undefined {
    const { start, onStart, watch = watchWorker } = this.#options;
    let worker: LinkedWorker;
    try {
      worker = start();
    } catch {
      return undefined;
    }
    const endWatch = watch(worker, (how) => this.#ended(how));
    this.#running = { worker, api: wrap<Api>(worker as Worker), pending: new Set(), endWatch };
    onStart?.(worker);
    return this.#running;
  }

  #ended(how: WorkerEnd): void {
    const pending = [...(this.#running?.pending ?? [])];
    if (how === 'hung') this.#options.onUnresponsive?.();
    if (how === 'hung' && pending.some(({ method }) => method === this.#options.stopping)) {
      this.end(); // what was to be stopped has stopped
      return;
    }
    const repeated = how === 'hung' ? pending.filter(({ repeat }) => repeat) : [];
    for (const call of repeated) this.#running?.pending.delete(call);
    // If all that the worker had to do is done again, or it had nothing to do, nobody has to know.
    const isFailure = how !== 'hung' || repeated.length < pending.length;
    const error = this.#error(how);
    this.end(error);
    if (isFailure) this.#options.onFailure?.(error);
    for (const { repeat } of repeated) repeat!();
  }

  #error(how: WorkerEnd): MixtabError {
    const { task, died } = this.#options;
    if (how === 'disk-silent') {
      return new MixtabError(
        'storage-unavailable',
        `The disk has not answered the worker that ${task} for ${DISK_LIMIT_MS / 60_000} minutes.`,
        'Try again: what is stored is kept. If this happens again, check the disk and restart the browser.',
      );
    }
    return how !== 'not-started'
      ? new MixtabError(
          died.code,
          `The worker that ${task} has stopped. The browser may have had too little memory.`,
          died.remedy,
        )
      : new MixtabError(
          'worker-unavailable',
          `The part of mixtab that ${task} could not be loaded.`,
          'Check the network, then reload the page.',
        );
  }
}
