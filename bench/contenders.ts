/** What bench/llama-cpp.ts compares. Each contender keeps one model loaded and answers one prompt at a time. */

import { type ModelArgument, modelSource, withBrowser } from '../scripts/cli/browser.ts';
import { withProfile } from '../scripts/cli/profile.ts';
import { fileRanged } from '../scripts/cli/server.ts';
import type { ComputeKind } from '../src/contract/engine-api.ts';
import { openBench, withSources } from './bench-page.ts';
import type { BenchPage } from './llama-cpp-page.ts';

/** What to answer: greedily, and past the end-of-sequence token. */
export interface Prompt {
  text: string;
  maxTokens: number;
}

/** How long an answer took. */
export interface Answer {
  /** Including BOS. */
  promptTokens: number;
  /** Those that were not in the KV cache, and the time up to the first token of the answer. */
  computedTokens: number;
  promptMs: number;
  /** Tokens after the first one, and their time. */
  tokens: number;
  decodeMs: number;
}

/** An implementation with the model loaded. */
export interface Contender {
  name: string;
  generate(prompt: Prompt): Promise<Answer>;
}

/** Opens a contender, and closes it after `work`. */
export type Opener = (work: (contender: Contender) => Promise<void>) => Promise<void>;

/** Which model all contenders load, and how. */
export interface Setup {
  /** Path of the GGUF file. */
  path: string;
  model: ModelArgument;
  /** Tokens that the KV cache can hold. */
  context: number;
}

const threadsText = (threads = 1): string => `${threads} ${threads === 1 ? 'thread' : 'threads'}`;

/** mixtab, on the command line's page in a browser of its own. @param threads CPU only; default: mixtab decides */
export function mixtab(compute: ComputeKind, { model, context }: Setup, threads?: number): Opener {
  const { ranged, source } = modelSource(model);
  return (work) =>
    withBrowser({ ranged }, async ({ call, origin }) => {
      await call('probe', compute);
      const { id } = await call('import', source(origin));
      const loaded = await call('load', { modelId: id, compute, context, ...(threads !== undefined && { threads }) });
      const { layerCount, expertCount } = loaded.summary.config;
      if (loaded.slots < layerCount * expertCount)
        console.error(`mixtab, ${compute}: memory holds only ${loaded.slots} of ${layerCount * expertCount} experts.`);
      await work({
        name: compute === 'cpu' ? `mixtab, CPU, ${threadsText(loaded.compute.threads)}` : 'mixtab, WebGPU',
        async generate({ text, maxTokens }) {
          const { promptTokens, reusedTokens, tokens, timings } = await call('generate', {
            input: { kind: 'text', text },
            sampling: { temperature: 0 },
            ignoreEos: true,
            maxTokens,
          });
          return {
            promptTokens: promptTokens.length,
            computedTokens: promptTokens.length - reusedTokens,
            promptMs: timings.prefillMs,
            tokens: tokens.length - 1,
            decodeMs: timings.decodeMs,
          };
        },
      });
    });
}

/** llama.cpp in WebAssembly, in a browser of its own. */
export const llamaCppWasm =
  ({ path, context }: Setup, threads: number): Opener =>
  (work) =>
    withSources({ isolated: true, ranged: { '/model.gguf': fileRanged(path) } }, (origin) =>
      withProfile(undefined, async (page) => {
        const call = await openBench<BenchPage>(page, origin, 'llama-cpp');
        await call('load', '/model.gguf', context, threads);
        await work({
          name: `llama.cpp in WebAssembly, ${threadsText(threads)}`,
          generate: (prompt) => call('generate', prompt),
        });
      }),
    );

/** The part of node-llama-cpp that is used here. It is not a dependency, so its types may be missing. */
interface NodeLlamaCpp {
  getLlama(options: { gpu: false; build: 'never' }): Promise<{
    loadModel(options: { modelPath: string }): Promise<{
      tokenize(text: string): number[];
      tokens: { bos: number };
      createContext(options: { contextSize: number; threads: number }): Promise<{ getSequence(): Sequence }>;
      dispose(): Promise<void>;
    }>;
  }>;
}
interface Sequence {
  clearHistory(): Promise<void>;
  evaluate(tokens: number[], options: { temperature: number; yieldEogTokens: boolean }): AsyncIterable<number>;
}

/** Loads node-llama-cpp; undefined if it is not installed. */
export async function importNodeLlamaCpp(): Promise<NodeLlamaCpp | undefined> {
  const name = 'node-llama-cpp';
  try {
    return (await import(name)) as NodeLlamaCpp;
  } catch (error) {
    if ((error as { code?: string }).code === 'ERR_MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}

/** llama.cpp as native code, in this process. */
export const llamaCppNative =
  ({ getLlama }: NodeLlamaCpp, { path, context }: Setup, threads: number): Opener =>
  async (work) => {
    const llama = await getLlama({ gpu: false, build: 'never' });
    const model = await llama.loadModel({ modelPath: path });
    const sequence = (await model.createContext({ contextSize: context, threads })).getSequence();
    try {
      await work({
        name: `llama.cpp, native, ${threadsText(threads)}`,
        generate: (prompt) => generateNatively(sequence, [model.tokens.bos, ...model.tokenize(prompt.text)], prompt),
      });
    } finally {
      await model.dispose();
    }
  };

async function generateNatively(sequence: Sequence, input: number[], { maxTokens }: Prompt): Promise<Answer> {
  await sequence.clearHistory();
  const started = performance.now();
  let firstAt = 0;
  let tokens = 0;
  for await (const _ of sequence.evaluate(input, { temperature: 0, yieldEogTokens: true })) {
    firstAt ||= performance.now();
    if (++tokens === maxTokens) break;
  }
  return {
    promptTokens: input.length,
    computedTokens: input.length,
    promptMs: firstAt - started,
    tokens: tokens - 1,
    decodeMs: performance.now() - firstAt,
  };
}
