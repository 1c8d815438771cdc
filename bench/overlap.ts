/**
 * How well reading is hidden behind computing: a cut of Mixtral 8x7B at several GPU budgets, the same tokens at each.
 *
 *   npx tsx bench/overlap.ts --profile DIR [--layers 4] [--type T] [--budgets 1500,2500,4200] [--tokens 12] [--place indexeddb|opfs]
 *
 * A token cannot take less than its computing with every expert resident (the largest budget should allow that), nor
 * than reading its missing experts takes at the store's own rate, both measured in this run. The last column says
 * how much longer than the larger of the two it took.
 */
import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { withBrowser } from '../scripts/cli/browser.ts';
import { syntheticRanged } from '../scripts/cli/server.ts';
import { synthOptions } from '../scripts/cli/synth-options.ts';
import { createSynth } from '../workers/gguf/synth/synth.ts';

const { values } = parseArgs({
  options: {
    profile: { type: 'string' },
    layers: { type: 'string', default: '4' },
    type: { type: 'string' },
    budgets: { type: 'string', default: '900,1400,2000,2800,4200' },
    tokens: { type: 'string', default: '12' },
    prompt: { type: 'string', default: 'Once upon a time there was a lighthouse' },
    place: { type: 'string', default: 'indexeddb' },
    port: { type: 'string', default: '41774' },
  },
});
if (!values.profile) throw new Error('--profile DIR is needed: where the browser keeps the model.');
const profile = resolve(values.profile);
mkdirSync(profile, { recursive: true });
const file = createSynth(
  synthOptions({ preset: '8x7b', layers: Number(values.layers), ...(values.type !== undefined && { type: values.type }) }),
);
const tokens = Number(values.tokens);
const request = { input: { kind: 'text' as const, text: values.prompt }, sampling: { temperature: 0 }, ignoreEos: true };

await withBrowser(
  { profile, port: Number(values.port), ranged: { '/model.gguf': syntheticRanged(file) } },
  async ({ call, origin }) => {
    const place = values.place === 'opfs' ? ('opfs' as const) : ('indexeddb' as const);
    const { id } = await call('import', { kind: 'url', url: `${origin}/model.gguf` }, { place });
    const rate = (await call('readRate', id, 3e9)) / 1e9;
    console.log(`store: ${rate.toFixed(2)} GB/s\n`);
    console.log('| budget MB | slots | hit rate | predicted of misses | MB read a token | s a token | s computing | s reading | to the larger |');
    console.log('|---|---|---|---|---|---|---|---|---|');
    const runs = [];
    for (const budget of values.budgets.split(',').map(Number)) {
      const { slots } = await call('load', { modelId: id, context: 512, gpuBudgetBytes: budget * 1e6, ramBudgetBytes: 0 });
      await call('generate', { ...request, maxTokens: 3 }); // compiles kernels, fills slots
      const { timings, cache, tokens: generated } = await call('generate', { ...request, maxTokens: tokens });
      // The prompt is in the cache but for its last token, which goes through the layers like any other.
      const seconds = (timings.prefillMs + timings.decodeMs) / 1000 / tokens;
      runs.push({ budget, slots, seconds, bytes: cache.bytesRead / tokens, cache, ids: generated.map((token) => token.id).join() });
    }
    const computing = Math.min(...runs.filter(({ bytes }) => bytes === 0).map(({ seconds }) => seconds));
    for (const { budget, slots, seconds, bytes, cache } of runs) {
      const reading = bytes / 1e9 / rate;
      const bound = Math.max(computing, reading);
      const predicted = cache.misses ? `${((100 * cache.prefetched) / cache.misses).toFixed(0)} %` : '';
      console.log(
        `| ${[budget, slots, `${(100 * cache.hitRate).toFixed(0)} %`, predicted, (bytes / 1e6).toFixed(0), seconds.toFixed(2), computing.toFixed(2), reading.toFixed(2), (seconds / bound).toFixed(2)].join(' | ')} |`,
      );
    }
    const same = new Set(runs.map(({ ids }) => ids)).size === 1;
    console.log(`\n${tokens} greedy tokens at ${runs.length} budgets: ${same ? 'all the same' : 'DIFFERENT'}.`);
    if (!same) process.exitCode = 1;
  },
);
