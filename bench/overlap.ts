/**
 * How well reading is hidden behind computing: a model of Mixtral's form, small enough to be resident as a whole, at several
 * GPU budgets, the same tokens at each.
 *
 *   npx tsx bench/overlap.ts --profile DIR [--layers 16] [--dim 2048] [--ffn 3584] [--heads 16] [--kv-heads 4] [--type T]
 *                            [--residual-scale 0.3] [--slots 2,3,4,6,8] [--rounds 3] [--tokens 12] [--place indexeddb|opfs]
 *                            [--shared-cores]
 *
 * A token cannot take less than its computing with every expert resident, nor than reading its missing experts takes at
 * the store's own rate; both are measured in this run, in turns with the budgets. The last column says how much longer than
 * the larger of the two it took. The threads in which the software GPU computes have a core of their own, unless `--shared-cores`
 * is given: an adapter that computes on all cores leaves none that could read meanwhile.
 */
import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { withBrowser } from '../scripts/cli/browser.ts';
import { syntheticRanged } from '../scripts/cli/server.ts';
import { synthOptions } from '../scripts/cli/synth-options.ts';
import { createSynth } from '../workers/gguf/synth/synth.ts';
import { browserMemory } from './browser-memory.ts';
import { giveGpuItsOwnCore } from './own-core.ts';

const { values } = parseArgs({
  options: {
    profile: { type: 'string' },
    layers: { type: 'string', default: '16' },
    dim: { type: 'string', default: '2048' },
    ffn: { type: 'string', default: '3584' },
    heads: { type: 'string', default: '16' },
    'kv-heads': { type: 'string', default: '4' },
    type: { type: 'string' },
    'residual-scale': { type: 'string', default: '0.3' },
    slots: { type: 'string', default: '2,3,4,6,8' },
    rounds: { type: 'string', default: '3' },
    tokens: { type: 'string', default: '12' },
    prompt: { type: 'string', default: 'Once upon a time there was a lighthouse' },
    place: { type: 'string', default: 'indexeddb' },
    'shared-cores': { type: 'boolean', default: false },
    port: { type: 'string', default: '41774' },
  },
});
if (!values.profile) throw new Error('--profile DIR is needed: where the browser keeps the model.');
const profile = resolve(values.profile);
mkdirSync(profile, { recursive: true });
const layers = Number(values.layers);
const options = synthOptions({
  preset: '8x7b', layers, dim: Number(values.dim), ffn: Number(values.ffn), heads: Number(values.heads), 'kv-heads': Number(values['kv-heads']),
  'residual-scale': Number(values['residual-scale']), ...(values.type !== undefined && { type: values.type }),
});
const file = createSynth(options);
const tokens = Number(values.tokens);
const request = { input: { kind: 'text' as const, text: values.prompt }, sampling: { temperature: 0 }, ignoreEos: true };
const median = (numbers: readonly number[]): number => [...numbers].sort((a, b) => a - b)[numbers.length >> 1];

await withBrowser(
  { profile, port: Number(values.port), ranged: { '/model.gguf': syntheticRanged(file) } },
  async ({ call, origin }) => {
    const place = values.place === 'opfs' ? ('opfs' as const) : ('indexeddb' as const);
    const { id, figures } = await call('import', { kind: 'url', url: `${origin}/model.gguf` }, { place });
    /** Seconds and bytes a token with so many slots a layer. */
    const measure = async (slots: number) => {
      // The context's memory and alignment come on top of the figures; half a slot a layer is room for them, if experts are large.
      const room = slots < options.expertCount ? 0.5 * layers * figures.expertBytes : 1e9;
      const gpuBudgetBytes = figures.denseBytes + slots * layers * figures.expertBytes + room;
      const loaded = await call('load', { modelId: id, context: 64, gpuBudgetBytes, ramBudgetBytes: 0 });
      if (!values['shared-cores']) giveGpuItsOwnCore(profile);
      await call('generate', { ...request, maxTokens: tokens }); // compiles kernels, fills slots
      const { timings, cache, tokens: generated } = await call('generate', { ...request, maxTokens: tokens });
      // The prompt is in the cache but for its last token, which goes through the layers like any other.
      const perToken = (ms: number): number => ms / 1000 / tokens;
      return {
        slots: loaded.slots,
        seconds: perToken(timings.prefillMs + timings.decodeMs),
        waitingForGpu: perToken(timings.gpuWaitMs),
        waitingForExperts: perToken(timings.expertWaitMs),
        bytes: cache.bytesRead / tokens,
        hitRate: cache.hitRate,
        predicted: cache.misses ? cache.prefetched / cache.misses : Number.NaN,
        memory: browserMemory(profile),
        ids: generated.map((token) => token.id).join(),
      };
    };
    type Run = Awaited<ReturnType<typeof measure>>;
    const runs = new Map<number, Run[]>(values.slots.split(',').map((slots) => [Number(slots), []]));
    const rates: number[] = [];
    // In turns: what else the machine does falls on all of them alike.
    await measure(Math.max(...runs.keys())); // makes the device, whose threads are pinned for all that follows
    for (let round = 0; round < Number(values.rounds); round++) {
      rates.push((await call('readRate', id, 1e9)) / 1e9);
      for (const [slots, list] of runs) list.push(await measure(slots));
    }
    const rate = median(rates);
    const all = [...runs.values()];
    if (!all.flat().some(({ bytes }) => bytes === 0)) throw new Error('No budget held all experts: add more --slots.');
    const computing = median(all.flat().filter(({ bytes }) => bytes === 0).map(({ seconds }) => seconds));
    console.log(`store: ${rates.map((r) => r.toFixed(2)).join(', ')} GB/s; medians of ${values.rounds} rounds; s and MB a token\n`);
    console.log('| slots | hit rate | predicted of misses | MB read | s | waiting for the GPU | for experts | rest | s computing | s reading | to the larger | browser GB |');
    console.log('|---|---|---|---|---|---|---|---|---|---|---|---|');
    const percent = (share: number): string => (Number.isNaN(share) ? '' : `${(100 * share).toFixed(0)} %`);
    for (const list of all) {
      const of = (field: Exclude<keyof Run, 'ids'>): number => median(list.map((run) => run[field]));
      const reading = of('bytes') / 1e9 / rate;
      const rest = median(list.map(({ seconds, waitingForGpu, waitingForExperts }) => seconds - waitingForGpu - waitingForExperts));
      console.log(
        `| ${[
          of('slots'), percent(of('hitRate')), percent(of('predicted')), (of('bytes') / 1e6).toFixed(0), of('seconds').toFixed(3),
          of('waitingForGpu').toFixed(3), of('waitingForExperts').toFixed(3), rest.toFixed(3), computing.toFixed(3), reading.toFixed(3),
          (of('seconds') / Math.max(computing, reading)).toFixed(2), (of('memory') / 1e9).toFixed(2),
        ].join(' | ')} |`,
      );
    }
    const same = new Set(all.flat().map(({ ids }) => ids)).size === 1;
    console.log(`\n${tokens} greedy tokens at ${all.length} budgets: ${same ? 'all the same' : 'DIFFERENT'}.`);
    if (!same) process.exitCode = 1;
  },
);
