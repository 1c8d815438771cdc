/** Helpers for tests of the CPU backend in Node, with synthetic models and with threads that are no real workers. */
import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import type { LoadRequest } from '../../../src/contract/engine-api.ts';
import { type TokenId, tokenId } from '../../../src/contract/ids.ts';
import type { ModelManifest } from '../../format/manifest.ts';
import { importTiny } from '../../import/testing.ts';
import { MemoryStore } from '../../store/memory-store.ts';
import type { RecordReader } from '../../store/record-reader.ts';
import { readWhenStored } from '../../store/record-requests.ts';
import type { SynthOptions } from '../../synth/synth.ts';
import type { Compute, Sample } from '../compute.ts';
import { ModelRecords } from '../model-records.ts';
import { loadCpuModel } from './load-cpu-model.ts';
import { serveThread } from './serve-thread.ts';
import type { ThreadMessage, ThreadReply, ThreadWorker } from './thread-pool.ts';

let kernels: WebAssembly.Module | undefined;

/** The kernels that `scripts/kernels.mjs` has compiled. One module for all, so that V8 optimizes their code once. */
export function compiledKernels(): WebAssembly.Module {
  kernels ??= new WebAssembly.Module(readFileSync(new URL('kernels.wasm', import.meta.url)));
  return kernels;
}

/** Runs a thread in this worker, but with copied messages that arrive later, as those of a real worker do. */
export function fakeWorker(): ThreadWorker {
  let handle: (event: MessageEvent<ThreadMessage>) => void = () => {};
  let terminated = false;
  const worker: ThreadWorker = {
    onmessage: null,
    onerror: null,
    postMessage(message, transfer) {
      // A compiled module cannot be cloned here.
      const data = message.type === 'start' ? message : structuredClone(message, { transfer: transfer as never[] });
      setImmediate(() => {
        if (!terminated) handle({ data } as MessageEvent<ThreadMessage>);
      });
    },
    terminate: () => {
      terminated = true;
    },
  };
  serveThread({
    addEventListener: (_type: string, listener: unknown) => {
      handle = listener as typeof handle;
    },
    postMessage: (message: ThreadReply, transfer: Transferable[]) => {
      const data = structuredClone(message, { transfer: transfer as never[] });
      setImmediate(() => worker.onmessage?.({ data } as MessageEvent<ThreadReply>));
    },
  } as never);
  return worker;
}

/** Runs a thread in a real worker, which can share memory with this one. */
export function realWorker(): ThreadWorker {
  const file = JSON.stringify(new URL('./node-thread-testing.ts', import.meta.url).href);
  const code = `import('tsx/esm/api').then(({ register }) => (register(), import(${file})))`;
  const inWorker = new Worker(code, { eval: true });
  const worker: ThreadWorker = {
    onmessage: null,
    onerror: null,
    postMessage: (message, transfer) => inWorker.postMessage(message, transfer as never[]),
    terminate: () => void inWorker.terminate(),
  };
  inWorker.on('message', (data: ThreadReply) => worker.onmessage?.({ data } as MessageEvent<ThreadReply>));
  inWorker.on('error', ({ message }) => worker.onerror?.({ message } as ErrorEvent));
  return worker;
}

/** A synthetic model that has been imported into memory. */
export interface ImportedModel {
  store: MemoryStore;
  records: ModelRecords;
}

/** Models that were imported before. No test changes what is stored. */
const imported = new WeakMap<SynthOptions, Promise<{ store: MemoryStore; manifest: ModelManifest }>>();

/** Imports a model, once for all calls with the same object. */
export async function importSynth(options: SynthOptions): Promise<ImportedModel> {
  if (!imported.has(options)) imported.set(options, importOnce(options));
  const { store, manifest } = await imported.get(options)!;
  const reader: RecordReader = {
    read: (modelId, record, signal, form) => readWhenStored(store, modelId, record, signal, form),
  };
  return { store, records: new ModelRecords(reader, manifest) };
}

async function importOnce(options: SynthOptions): Promise<{ store: MemoryStore; manifest: ModelManifest }> {
  const store = new MemoryStore();
  const { id } = await importTiny(store, options);
  return { store, manifest: (await store.getManifest(id))! };
}

export interface LoadOptions extends Omit<LoadRequest, 'modelId'> {
  createWorker?: () => ThreadWorker;
  /** Whether the workers are real ones that share memory with this thread. */
  sharesMemory?: boolean;
  /** Weights that one memory takes at most. */
  bankBytes?: number;
}

/** Loads an imported model with `threads` threads, 1 by default. */
export function loadOnCpu({ records }: ImportedModel, options: LoadOptions = {}): Promise<Compute> {
  const { createWorker = fakeWorker, sharesMemory = false, threads = 1, bankBytes, ...request } = options;
  return loadCpuModel({
    records,
    request: { modelId: records.manifest.id, ...request },
    onProgress: () => {},
    wasm: compiledKernels(),
    threads,
    createWorker,
    sharesMemory,
    ...(bankBytes && { bankBytes }),
  });
}

/** A greedy answer of `count` tokens, with the 5 likeliest of each. */
export async function greedyTokens(compute: Compute, prompt: readonly TokenId[], count: number): Promise<Sample[]> {
  const { signal } = new AbortController();
  compute.setRouterOptions({});
  startGreedy(compute);
  await compute.prefill({ tokens: prompt, position: 0, onProgress: () => {}, signal });
  const samples = [await compute.sampleFirst()];
  const decoder = compute.startDecoding(prompt.length, signal);
  while (samples.length < count) samples.push(await decoder.nextToken(0));
  return samples;
}

/** Starts sampling at temperature 0, with the five likeliest tokens. */
export function startGreedy(compute: Compute): void {
  const { vocabularySize } = compute.config;
  compute.startSampling({
    options: { temperature: 0 },
    seed: 1,
    step: 0,
    topCount: 5,
    counts: new Uint32Array(vocabularySize),
    bias: new Float32Array(vocabularySize),
    allowed: undefined,
  });
}

/** Token ids below `vocabularySize` that look random. */
export const somePrompt = (length: number, vocabularySize: number): TokenId[] =>
  Array.from({ length }, (_, i) => tokenId((i * 7919 + 13) % vocabularySize));
