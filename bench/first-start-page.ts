/** The llama.cpp page of bench/first-start.ts: wllama fetches the same model file and generates 100 tokens. */
import { Wllama } from '@wllama/wllama';
import wasmUrl from '@wllama/wllama/esm/wasm/wllama.wasm?url';

/** Result of one cold start. */
export interface FirstStart {
  /** Time from the start of the navigation. */
  firstTokenMs: number;
  tokensPerSecond: number;
}

const TOKENS = 100;

/** Measures the CPU time, see first-start.ts. */
declare const noteFirstToken: () => void;

async function measureStart(): Promise<FirstStart> {
  const llama = new Wllama({ default: wasmUrl }, { suppressNativeLog: true, allowOffline: true });
  const file = await (await fetch('/public/models/builtin.gguf')).blob();
  await llama.loadModel([file], { n_ctx: 512, n_gpu_layers: 0 });
  const stream = await llama.createCompletion({
    prompt: 'Once upon a time',
    max_tokens: TOKENS,
    temperature: 0.8,
    stream: true,
    ignore_eos: true,
  } as never);
  let first = 0;
  let tokens = 0;
  for await (const _ of stream as unknown as AsyncIterable<unknown>) {
    tokens++;
    if (first) continue;
    first = performance.now();
    noteFirstToken();
  }
  // The last item of the stream may have no token. An error of one in a hundred does not matter here.
  return { firstTokenMs: first, tokensPerSecond: ((tokens - 1) * 1000) / (performance.now() - first) };
}

const started = measureStart();
const bench = { firstStart: () => started };

export type BenchPage = typeof bench;
(globalThis as unknown as { bench: BenchPage }).bench = bench;
