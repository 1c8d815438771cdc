/**
 * Mixtral's full size in Chromium: imports a synthetic model that is generated while it is served, and generates tokens
 * within memory budgets. Reports memory, hit rate, and bytes and time per token.
 *
 *   npx tsx bench/full-size.ts --profile DIR [--preset 8x7b] [--layers N] [--type T] [--compute gpu|cpu] [--threads N]
 *                              [--gpu-budget MB] [--ram-budget MB] [--tokens N] [--prompt TEXT]
 *                              [--storage indexeddb|opfs] [--json]
 *
 * With `--compute cpu`, `--ram-budget` is the total for the model; default: what mixtab takes by itself. On the GPU it
 * is the memory for evicted experts (2000), beside `--gpu-budget` (4000). `overBudgetBytes` is the memory of all the
 * browser's processes, at its peak, over the budgets; the browser alone takes `idleBytes`. `laterPrompt` is a second
 * prompt, which finds the experts resident that fit into the budget.
 *
 * docs/measurements/streaming.md reports `--type Q4_K` (the default) and `--type Q2_K`. The profile is kept, so a
 * second run finds the imported models. A 26 GB model needs as much disk space.
 */

import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { withBrowser } from '../scripts/cli/browser.ts';
import { syntheticRanged } from '../scripts/cli/server.ts';
import { synthOptions } from '../scripts/cli/synth-options.ts';
import type { GenerateResult, LoadRequest } from '../src/contract/engine-api.ts';
import { createSynth } from '../workers/synth/synth.ts';
import { browserMemory, peakMemory } from './browser-memory.ts';

const { values } = parseArgs({
  options: {
    profile: { type: 'string' },
    preset: { type: 'string', default: '8x7b' },
    layers: { type: 'string' },
    type: { type: 'string' },
    compute: { type: 'string', default: 'gpu' },
    threads: { type: 'string' },
    'gpu-budget': { type: 'string', default: '4000' },
    'ram-budget': { type: 'string' },
    context: { type: 'string', default: '1024' },
    tokens: { type: 'string', default: '8' },
    prompt: { type: 'string', default: 'Once upon a time there was a lighthouse' },
    storage: { type: 'string', default: 'indexeddb' },
    port: { type: 'string', default: '41773' },
    json: { type: 'boolean', default: false },
  },
});
if (!values.profile)
  throw new Error('--profile DIR is missing. It is the folder in which the browser stores the model.');
if (values.compute !== 'gpu' && values.compute !== 'cpu')
  throw new Error(`--compute ${values.compute} is unknown. Pass gpu or cpu.`);
const compute = values.compute;

/** The budgets of the load request. On the CPU there is only one, for the whole model. */
function budgets(): Pick<LoadRequest, 'gpuBudgetBytes' | 'ramBudgetBytes'> {
  const ram = values['ram-budget'];
  if (compute === 'gpu')
    return { gpuBudgetBytes: Number(values['gpu-budget']) * 1e6, ramBudgetBytes: Number(ram ?? 2000) * 1e6 };
  return ram === undefined ? {} : { ramBudgetBytes: Number(ram) * 1e6 };
}

const profile = resolve(values.profile);
mkdirSync(profile, { recursive: true });
const file = createSynth(
  synthOptions({
    preset: values.preset,
    ...(values.layers !== undefined && { layers: Number(values.layers) }),
    ...(values.type !== undefined && { type: values.type }),
  }),
);
const storage = values.storage === 'opfs' ? ('opfs' as const) : ('indexeddb' as const);
const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(2)} GB`;
const say = (text: string): void => console.error(`${new Date().toISOString().slice(11, 23)} ${text}`);

/** Time, bytes and hits of an answer, in total and per token. */
function phaseOf({ timings, cache }: GenerateResult, tokens: number) {
  const seconds = (timings.prefillMs + timings.decodeMs) / 1000;
  const computeSeconds = timings.computeMs / 1000;
  const expertSeconds = timings.expertWaitMs / 1000;
  return {
    seconds,
    secondsPerToken: seconds / tokens,
    // Waiting for the GPU or the CPU's threads only; for an expert, while they may compute; everything else.
    computeSeconds,
    expertSeconds,
    restSeconds: seconds - computeSeconds - expertSeconds,
    bytesRead: cache.bytesRead,
    bytesPerToken: cache.bytesRead / tokens,
    hitRate: cache.hitRate,
    predictedOfMisses: cache.misses ? cache.prefetched / cache.misses : 0,
    cache,
  };
}

let reportedBytes = 0;
/** When each text of the current answer arrived, in ms. At full size each is one token. */
let arrivedAt: number[] = [];

/** The median of the times between tokens. A new expert and the first use of its pages fall on some tokens only. */
function medianSecondsPerToken(): number | undefined {
  const intervals = arrivedAt.slice(1).map((time, i) => (time - arrivedAt[i]) / 1000);
  return intervals.toSorted((a, b) => a - b)[intervals.length >> 1];
}

const report = await withBrowser(
  {
    profile,
    port: Number(values.port), // the same in every run, because models belong to an origin
    ranged: { '/model.gguf': syntheticRanged(file) },
    onText: (text) => {
      arrivedAt.push(performance.now());
      say(`token ${JSON.stringify(text)}`);
    },
    onImport: ({ bytesDone, bytesTotal }) => {
      if (bytesDone - reportedBytes < 1e9 && bytesDone < bytesTotal) return;
      reportedBytes = bytesDone;
      say(`imported ${gigabytes(bytesDone)} of ${gigabytes(bytesTotal)}; browser ${gigabytes(browserMemory(profile))}`);
    },
  },
  async ({ call, origin }) => {
    await call('probe', compute);
    const idleBytes = browserMemory(profile);
    say(`${gigabytes(file.size)} to import; idle page ${gigabytes(idleBytes)}`);
    const importStarted = performance.now();
    const imported = await peakMemory(profile, () =>
      call('import', { kind: 'url', url: `${origin}/model.gguf` }, { storage }),
    );
    const importSeconds = (performance.now() - importStarted) / 1000;
    say(`imported in ${importSeconds.toFixed(0)} s, peak ${gigabytes(imported.peakBytes)}`);
    const run = await peakMemory(profile, async () => {
      const loaded = await call('load', {
        modelId: imported.result.id,
        context: Number(values.context),
        compute,
        ...(values.threads !== undefined && { threads: Number(values.threads) }),
        ...budgets(),
      });
      say(
        `loaded in ${(loaded.loadMs / 1000).toFixed(1)} s: ${loaded.slots} slots, ` +
          `${gigabytes(loaded.memory.gpuBytes)} on the GPU, ${gigabytes(loaded.memory.ramBytes)} of main memory`,
      );
      const request = {
        input: { kind: 'text' as const, text: values.prompt },
        sampling: { temperature: 0 },
        ignoreEos: true,
      };
      const prompt = await call('generate', { ...request, maxTokens: 1 });
      say(`prompt of ${prompt.promptTokens.length} tokens in ${(prompt.timings.prefillMs / 1000).toFixed(1)} s`);
      // All of the prompt but its last token is in the KV cache. The last one is computed like a generated token.
      arrivedAt = [];
      const generated = await call('generate', { ...request, maxTokens: Number(values.tokens) });
      const medianSeconds = medianSecondsPerToken();
      // Another text of the same words, with the experts that are resident now.
      const text = values.prompt.split(' ').reverse().join(' ');
      const later = await call('generate', { ...request, input: { kind: 'text' as const, text }, maxTokens: 1 });
      return { loaded, prompt, generated, medianSeconds, later };
    });
    const { loaded, prompt, generated, medianSeconds, later } = run.result;
    const budgetBytes = Object.values(budgets()).reduce((sum, bytes) => sum + bytes, 0);
    return {
      fileBytes: file.size,
      idleBytes,
      importSeconds,
      importPeakBytes: imported.peakBytes,
      compute: loaded.compute,
      runPeakBytes: run.peakBytes,
      ...(budgetBytes > 0 && { budgetBytes, overBudgetBytes: run.peakBytes - budgetBytes }),
      loadSeconds: loaded.loadMs / 1000,
      slots: loaded.slots,
      promptTokens: prompt.promptTokens.length,
      tokens: generated.tokens.map(({ id }) => id),
      prompt: phaseOf(prompt, prompt.promptTokens.length),
      decode: { ...phaseOf(generated, generated.tokens.length), medianSecondsPerToken: medianSeconds },
      laterPrompt: { tokens: later.promptTokens.length, ...phaseOf(later, later.promptTokens.length) },
      memory: generated.memory,
    };
  },
);
console.log(JSON.stringify(report, null, values.json ? 0 : 2));
