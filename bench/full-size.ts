/**
 * Mixtral's full size in a real Chromium: imports a synthetic model that is made while it is served, generates tokens
 * within budgets, and reports memory, hit rate, bytes and time a token.
 *
 *   npx tsx bench/full-size.ts --profile DIR [--preset 8x7b] [--layers N] [--type T] [--gpu-budget MB] [--ram-budget MB]
 *                              [--tokens N] [--prompt TEXT] [--store indexeddb|opfs] [--json]
 *
 * The profile is kept, so that a second run finds the model imported (a 26 GB model takes as much disk).
 */
import { parseArgs } from 'node:util';
import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { withBrowser } from '../scripts/cli/browser.ts';
import { syntheticRanged } from '../scripts/cli/server.ts';
import { synthOptions } from '../scripts/cli/synth-options.ts';
import { createSynth } from '../workers/gguf/synth/synth.ts';
import { browserMemory, peakMemory } from './browser-memory.ts';

const { values } = parseArgs({
  options: {
    profile: { type: 'string' },
    preset: { type: 'string', default: '8x7b' },
    layers: { type: 'string' },
    type: { type: 'string' },
    'gpu-budget': { type: 'string', default: '4000' },
    'ram-budget': { type: 'string', default: '2000' },
    context: { type: 'string', default: '1024' },
    tokens: { type: 'string', default: '8' },
    prompt: { type: 'string', default: 'Once upon a time there was a lighthouse' },
    port: { type: 'string', default: '41773' },
    json: { type: 'boolean', default: false },
  },
});
if (!values.profile) throw new Error('--profile DIR is needed: where the browser keeps the model.');

const profile = resolve(values.profile);
mkdirSync(profile, { recursive: true });
const file = createSynth(
  synthOptions({
    preset: values.preset,
    ...(values.layers !== undefined && { layers: Number(values.layers) }),
    ...(values.type !== undefined && { type: values.type }),
  }),
);
const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(2)} GB`;
const say = (text: string): void => console.error(`${new Date().toISOString().slice(11, 19)} ${text}`);

let said = 0;
const report = await withBrowser(
  {
    profile,
    port: Number(values.port), // the same origin in every run: models belong to it
    ranged: { '/model.gguf': syntheticRanged(file) },
    onText: (text) => say(`token ${JSON.stringify(text)}`),
    onImport: ({ bytesDone, bytesTotal }) => {
      if (bytesDone - said < 1e9 && bytesDone < bytesTotal) return;
      said = bytesDone;
      say(`imported ${gigabytes(bytesDone)} of ${gigabytes(bytesTotal)}; browser ${gigabytes(browserMemory(profile))}`);
    },
  },
  async ({ call, origin }) => {
    await call('probe');
    const idleBytes = browserMemory(profile);
    say(`${gigabytes(file.size)} to import; idle page ${gigabytes(idleBytes)}`);
    const importStarted = performance.now();
    const imported = await peakMemory(profile, () => call('import', { kind: 'url', url: `${origin}/model.gguf` }));
    const importSeconds = (performance.now() - importStarted) / 1000;
    say(`imported in ${importSeconds.toFixed(0)} s, peak ${gigabytes(imported.peakBytes)}`);
    const run = await peakMemory(profile, async () => {
      const loaded = await call('load', {
        modelId: imported.result.id,
        context: Number(values.context),
        gpuBudgetBytes: Number(values['gpu-budget']) * 1e6,
        ramBudgetBytes: Number(values['ram-budget']) * 1e6,
      });
      say(`loaded in ${(loaded.loadMs / 1000).toFixed(1)} s: ${loaded.slots} slots, ${gigabytes(loaded.memory.gpuBytes)} on the GPU`);
      const generated = await call('generate', {
        input: { kind: 'text', text: values.prompt },
        maxTokens: Number(values.tokens),
        sampling: { temperature: 0 },
        ignoreEos: true,
      });
      return { loaded, generated };
    });
    const { loaded, generated } = run.result;
    return {
      fileBytes: file.size,
      idleBytes,
      importSeconds,
      importPeakBytes: imported.peakBytes,
      runPeakBytes: run.peakBytes,
      loadSeconds: loaded.loadMs / 1000,
      slots: loaded.slots,
      promptTokens: generated.promptTokens.length,
      tokens: generated.tokens.map(({ id }) => id),
      timings: generated.timings,
      cache: generated.cache,
      memory: generated.memory,
    };
  },
);
console.log(JSON.stringify(report, null, values.json ? 0 : 2));
