/** A worker behind its typed interface that is started again if it dies, so that no call waits for ever. */
import { aborted, MixtabError } from './errors.ts';
import { type Remote, wrap } from './rpc.ts';
import { type WorkerEnd, watchWorker } from './worker-life.ts';

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
  /** Called for each worker that was started, before it gets its first call. */
  onStart?: (worker: LinkedWorker) => void;
  /** Called when a worker did not start or died, even if no call was running. */
  onFailure?: (error: MixtabError) => void;
  /** Default: {@link watchWorker}. */
  watch?: typeof watchWorker;
}

interface Running<Api> {
  worker: LinkedWorker;
  api: Remote<Api>;
  /** Rejects the calls that have no reply yet. */
  pending: Set<(error: MixtabError) => void>;
  endWatch: () => void;
}

type AnyCall = (...args: unknown[]) => Promise<unknown>;

/**
 * One worker at a time. If it does not start or dies, its calls reject with `worker-unavailable` or the code that
 * `died` names, and the next call starts another one.
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
    for (const reject of running?.pending ?? []) reject(error);
  }

  /** Ends the worker for good: later calls reject. */
  close(): void {
    this.#isClosed = true;
    this.end();
  }

  #call(method: string, args: unknown[]): Promise<unknown> {
    if (this.#isClosed) return Promise.reject(aborted('The worker was closed.'));
    const running = this.#running ?? this.#start();
    if (!running) return Promise.reject(this.#error('not-started'));
    // Not Promise.race, which would keep every reply until the worker ends.
    return new Promise((resolve, reject) => {
      running.pending.add(reject);
      const settled = (): void => void running.pending.delete(reject);
      (running.api as unknown as Record<string, AnyCall>)
        [method](...args)
        .then(resolve, reject)
        .finally(settled);
    });
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
    const endWatch = watch(worker, (how) => {
      const error = this.#error(how);
      this.end(error);
      this.#options.onFailure?.(error);
    });
    this.#running = { worker, api: wrap<Api>(worker as Worker), pending: new Set(), endWatch };
    onStart?.(worker);
    return this.#running;
  }

  #error(how: WorkerEnd): MixtabError {
    const { task, died } = this.#options;
    return how === 'died'
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
