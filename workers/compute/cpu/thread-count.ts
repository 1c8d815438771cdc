/**
 * How many threads compute a model. More threads share the work, but every step of a layer costs a message to each of
 * them and one back, which is too much for a small model. Both are measured while the model loads, unless the clock of
 * the browser is too coarse for that.
 */
import type { ModelConfig } from '../../../src/contract/import-api.ts';
import { type Clock, clockStepOf, timeSamples } from '../../experts/clock-step.ts';
import { layoutTensor, WEIGHT_TYPES } from '../../format/weight-layout.ts';
import { KernelModule } from './kernels-module.ts';
import { ExchangeCaller, PING } from './shared-exchange.ts';
import type { ThreadWorker } from './thread-pool.ts';

/** Attention, its output matrix, gate and up, down. */
const STEPS_PER_LAYER = 4;
/** No browser answers a message or a request through shared memory faster, in milliseconds. */
const FASTEST_ROUND_TRIP = { messages: 0.02, sharedMemory: 0.001 };
/**
 * A token with fewer operations is computed on one thread without measuring. It takes a few milliseconds anyway, and
 * starting a worker would delay the first token by more than a story's other tokens could gain.
 */
const SMALL_TOKEN_FLOPS = 40e6;
/** Side of the matrix with which the speed of the kernels is measured, and how often it is multiplied. */
const PROBE_SIZE = 1024;
const PROBE_RUNS = 8;
const PINGS = 24;
/** With a clock of longer steps nothing is measured: that would take seconds. */
const MOST_STEP_MS = 2;
/** What is assumed then: half the speed of Q8_0 on the project's machine, and twice the round trips there. */
const TYPICAL = { flopsPerMs: 10e6, roundTripMs: { messages: 0.06, sharedMemory: 0.02 } };
/** Longest wait for a ping through shared memory, in milliseconds. */
const PING_LIMIT_MS = 100;

/** How other threads are started. */
export interface ThreadWorkers {
  createWorker: () => ThreadWorker;
  /** See `ThreadPoolOptions`. */
  sharesMemory: boolean;
}

/** Time that a token takes, apart from waiting for experts. */
export interface TokenCost {
  /** On one thread, in milliseconds. */
  computeMs: number;
  /** Messages to all threads, and back. */
  steps: number;
}

/** The cost of one token, from its floating-point operations and the speed of the kernels in operations per millisecond. */
export function tokenCost(config: ModelConfig, flopsPerMs: number): TokenCost {
  const { layerCount, embeddingLength, feedForwardLength, headCount, kvHeadCount, headDim, expertsPerToken } = config;
  const attention = embeddingLength * headDim * (2 * headCount + 2 * kvHeadCount);
  const experts = 3 * expertsPerToken * embeddingLength * feedForwardLength;
  const output = config.vocabularySize * embeddingLength;
  const weights = layerCount * (attention + experts) + output;
  return { computeMs: (2 * weights) / flopsPerMs, steps: layerCount * STEPS_PER_LAYER + 1 };
}

/**
 * The number of threads with which a token takes the least time.
 * @param limit at least 1
 * @param roundTripMs of a message to a worker and back
 */
export function bestThreadCount({ computeMs, steps }: TokenCost, limit: number, roundTripMs: number): number {
  const msWith = (threads: number): number => computeMs / threads + (threads > 1 ? steps * roundTripMs : 0);
  let best = 1;
  for (let threads = 2; threads <= limit; threads++) if (msWith(threads) < msWith(best)) best = threads;
  return best;
}

/** The most threads of which each gets some rows of every matrix. */
export const mostThreads = ({ embeddingLength, feedForwardLength, headCount }: ModelConfig): number =>
  Math.max(1, Math.min(headCount, Math.floor(Math.min(embeddingLength, feedForwardLength) / 4)));

/**
 * Measures how many threads are best for a model. With a coarse clock, assumes typical speeds, so that no chance decides.
 * @param limit the number of cores
 * @param now milliseconds; default: `performance.now`
 */
export async function measureThreadCount(
  wasm: WebAssembly.Module,
  config: ModelConfig,
  limit: number,
  workers: ThreadWorkers,
  now: () => number = () => performance.now(),
): Promise<number> {
  const most = Math.min(limit, mostThreads(config));
  if (most === 1 || tokenCost(config, 1).computeMs < SMALL_TOKEN_FLOPS) return 1;
  const way = workers.sharesMemory ? 'sharedMemory' : 'messages';
  const clock: Clock = { now, clockStepMs: clockStepOf(now) };
  if (clock.clockStepMs > MOST_STEP_MS) {
    return bestThreadCount(tokenCost(config, TYPICAL.flopsPerMs), most, TYPICAL.roundTripMs[way]);
  }
  const cost = tokenCost(config, await measureFlopsPerMs(wasm, clock));
  // Starting a worker takes longer than many tokens of a small model.
  if (bestThreadCount(cost, most, FASTEST_ROUND_TRIP[way]) === 1) return 1;
  return bestThreadCount(cost, most, await measureRoundTrip(workers, clock));
}

/** Floating-point operations per millisecond of one thread: the best of several runs. */
async function measureFlopsPerMs(wasm: WebAssembly.Module, clock: Clock): Promise<number> {
  const module = KernelModule.instantiate(wasm);
  const layout = layoutTensor('probe', WEIGHT_TYPES.Q8_0, PROBE_SIZE, PROBE_SIZE, 0);
  const matrix = module.matrix(layout, module.allocate(layout.bytes));
  const vectors = module.vectors(1, PROBE_SIZE);
  const out = module.allocate(PROBE_SIZE * 4);
  const multiply = (): void => module.matmul(matrix, vectors, 1, out);
  multiply();
  return (2 * PROBE_SIZE ** 2) / Math.min(...(await timeSamples(PROBE_RUNS, clock, multiply)));
}

/** Milliseconds of an empty step in another thread: the median of several. */
async function measureRoundTrip({ createWorker, sharesMemory }: ThreadWorkers, clock: Clock): Promise<number> {
  const worker = createWorker();
  const ping = (): Promise<void> =>
    new Promise((resolve, reject) => {
      worker.onmessage = () => resolve();
      worker.onerror = ({ message }) => reject(new Error(message));
      worker.postMessage({ type: 'ping' }, []);
    });
  try {
    await ping(); // the worker has started
    const step = sharesMemory ? pingThroughMemory(worker) : ping;
    const times = await timeSamples(PINGS, clock, step);
    return times.sort((a, b) => a - b)[PINGS / 2];
  } finally {
    worker.terminate();
  }
}

/** @returns executes an empty step */
function pingThroughMemory(worker: ThreadWorker): () => void {
  const exchange = new ExchangeCaller(1);
  worker.postMessage({ type: 'attend', memory: exchange.buffer }, []);
  return () => {
    exchange.request(PING, []);
    exchange.answer(PING_LIMIT_MS);
  };
}
