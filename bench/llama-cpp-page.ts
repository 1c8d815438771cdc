/** The page of bench/llama-cpp.ts with llama.cpp in WebAssembly (wllama). */
import { Wllama } from '@wllama/wllama';
import wasmUrl from '@wllama/wllama/esm/wasm/wllama.wasm?url';
import type { Answer, Prompt } from './contenders.ts';

/** What the server inside wllama returns beyond its declared types. */
interface Timings {
  prompt_n: number;
  prompt_ms: number;
  predicted_n: number;
  predicted_ms: number;
}

const ignore = (): void => {};
const llama = new Wllama(
  { default: wasmUrl },
  { suppressNativeLog: true, allowOffline: true, logger: { debug: ignore, log: ignore, warn: ignore, error: ignore } },
);

const bench = {
  async load(url: string, context: number, threads: number): Promise<void> {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`${url} could not be fetched: HTTP ${response.status}.`);
    await llama.loadModel([await response.blob()], {
      n_ctx: context,
      n_threads: threads,
      n_parallel: 1,
      n_gpu_layers: 0,
    });
    if (threads > 1 && !llama.isMultithread())
      throw new Error('llama.cpp runs on one thread: the page is not isolated from other origins.');
  },
  async generate({ text, maxTokens }: Prompt): Promise<Answer> {
    const response = await llama.createCompletion({
      prompt: text,
      max_tokens: maxTokens,
      temperature: 0,
      ignore_eos: true,
      cache_prompt: false,
    } as Parameters<typeof llama.createCompletion>[0] & { stream?: false });
    const { prompt_n, prompt_ms, predicted_n, predicted_ms } = response.timings as unknown as Timings;
    // The first token belongs to the prompt.
    return {
      promptTokens: prompt_n,
      computedTokens: prompt_n,
      promptMs: prompt_ms,
      tokens: predicted_n - 1,
      decodeMs: predicted_ms,
    };
  },
};

export type BenchPage = typeof bench;
(globalThis as unknown as { bench: BenchPage }).bench = bench;
