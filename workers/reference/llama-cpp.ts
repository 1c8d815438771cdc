/**
 * llama.cpp as an independent reference for tests: its WebAssembly build (wllama) runs in the same browser. It runs the
 * F32 twin of a model, because on quantized files its CPU kernels also quantize the activations, which changes
 * log-probabilities by tenths.
 */
import { Wllama } from '@wllama/wllama';
import wasmUrl from '@wllama/wllama/esm/wasm/wllama.wasm?url';
import type { ReferenceToken } from './judge.ts';

/**
 * The code of llama.cpp, compiled. While it exists, V8 takes it for each further instance in this process; compiling 9 MB
 * of WebAssembly takes seconds.
 */
let compiled: Promise<WebAssembly.Module> | undefined;

/** The installed release of llama.cpp, e.g. `b11364-46ca246`. */
export const LLAMA_CPP_RELEASE = Wllama.getLibllamaVersion();

const ignore = (): void => {};
const SILENT = { debug: ignore, log: ignore, warn: ignore, error: ignore };

/** What the server inside wllama returns beyond its declared types. */
interface TokenProbability {
  id: number;
  logprob: number;
  top_logprobs: { id: number; logprob: number }[];
}

/**
 * Generates `count` greedy tokens after `prompt`, each with its raw log-probability and those of the `top` likeliest
 * tokens.
 * @param gguf the file, or all parts of a split file under their names
 */
export async function referenceTokens(
  gguf: Blob | File[],
  prompt: string,
  { count, top, context }: { count: number; top: number; context: number },
): Promise<ReferenceToken[]> {
  compiled ??= WebAssembly.compileStreaming(fetch(wasmUrl));
  await compiled;
  const llama = new Wllama({ default: wasmUrl }, { suppressNativeLog: true, allowOffline: true, logger: SILENT });
  try {
    await llama.loadModel(Array.isArray(gguf) ? gguf : [gguf], {
      n_ctx: context,
      n_threads: 1,
      n_gpu_layers: 0,
      cache_type_k: 'f32',
      cache_type_v: 'f32',
      // llama.cpp's flash attention in WebAssembly changes log-probabilities by up to 0.017, even with f32 keys.
      flash_attn: false,
      warmup: false,
    });
    const response = await llama.createCompletion({
      prompt,
      max_tokens: count,
      temperature: 0,
      logprobs: top,
      ignore_eos: true,
    } as Parameters<typeof llama.createCompletion>[0] & { stream?: false });
    const { logprobs } = (response as unknown as { choices: { logprobs: { content: TokenProbability[] } }[] })
      .choices[0];
    return logprobs.content.map(({ id, logprob, top_logprobs }) => ({
      id,
      logprob,
      top: top_logprobs.map((entry) => ({ id: entry.id, logprob: entry.logprob })),
    }));
  } finally {
    await llama.exit();
  }
}
