/**
 * How well reading is hidden behind computing, and computing behind reading: a model of Mixtral's form, small enough to be
 * resident as a whole, at several GPU budgets and from stores of several rates, the same tokens at each.
 *
 *   npx tsx bench/overlap.ts --profile DIR [--layers 16] [--dim 2048] [--ffn 3584] [--heads 16] [--kv-heads 4] [--type T]
 *                            [--residual-scale 0.3] [--slots 2,3,4,6,8] [--store-rate full] [--rounds 3] [--tokens 12]
 *                            [--storage indexeddb|opfs] [--shared-cores]
 *
 * A token cannot take less than its computing with every expert resident, nor than reading its missing experts takes at
 * the store's own rate; both are measured in this run, in turns with the budgets. `to the larger` says how much longer than
 * the larger of the two it took. Of the records that were read, `missed` are those that a token used; the rest was predicted in vain, and read
 * to its end before the router decided otherwise (what was read of those taken back is not counted). It is no
 * part of what a token must read, so the limit is without it; `of all read` is the ratio with it, which says what of the
 * first ratio is waiting, not reading too much. The threads in which the software GPU computes have a core of their own, unless
 * `--shared-cores` is given: an adapter that computes on all cores leaves none that could read meanwhile.
 *
 * A software GPU computes too slowly for any disk to be the slower one. `--store-rate 0.1,0.2,full` (GB/s) shows that side:
 * the same engine, its reader held to that rate, as a phone's flash or an old disk would (bench/rate-limit.ts). The store's rate is then
 * measured through the same limit. Model and slots are loaded without it, and all experts resident are measured without it.
 */
import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { syntheticRanged } from '../scripts/cli/server.ts';
import { synthOptions } from '../scripts/cli/synth-options.ts';
import { createSynth } from '../workers/synth/synth.ts';
import { withBench } from './bench-page.ts';
import { browserMemory } from './browser-memory.ts';
import type { BenchPage } from './overlap-page.ts';
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
    'store-rate': { type: 'string', default: 'full' },
    rounds: { type: 'string', default: '3' },
    tokens: { type: 'string', default: '12' },
    prompt: { type: 'string', default: 'Once upon a time there was a lighthouse' },
    storage: { type: 'string', default: 'indexeddb' },
    'shared-cores': { type: 'boolean', default: false },
    port: { type: 'string', default: '41774' },
  },
});
if (!values.profile) throw new Error('--profile DIR is needed: where the browser keeps the model.');
const profile = resolve(values.profile);
mkdirSync(profile, { recursive: true });
const layers = Number(values.layers);
const options = synthOptions({
  preset: '8x7b',
  layers,
  dim: Number(values.dim),
  ffn: Number(values.ffn),
  heads: Number(values.heads),
  'kv-heads': Number(values['kv-heads']),
  'residual-scale': Number(values['residual-scale']),
  ...(values.type !== undefined && { type: values.type }),
});
const file = createSynth(options);
const tokens = Number(values.tokens);
const request = {
  input: { kind: 'text' as const, text: values.prompt },
  sampling: { temperature: 0 },
  ignoreEos: true,
};
const median = (numbers: readonly number[]): number => [...numbers].sort((a, b) => a - b)[numbers.length >> 1];
const budgets = values.slots.split(',').map(Number);
const UNLIMITED = Number.POSITIVE_INFINITY;
/** Bytes a second. */
const limits = values['store-rate'].split(',').map((rate) => (rate === 'full' ? UNLIMITED : Number(rate) * 1e9));
if (!limits.every((limit) => limit > 0)) throw new Error('--store-rate takes GB/s, or full, or several of them.');
/** How long the store's rate is measured, in seconds, and at most over how many bytes. */
const RATE_SECONDS = 3;
const RATE_BYTES = 1e9;

await withBench<BenchPage>(
  'overlap',
  { profile, port: Number(values.port), ranged: { '/model.gguf': syntheticRanged(file) } },
  async (call, origin) => {
    const storage = values.storage === 'opfs' ? ('opfs' as const) : ('indexeddb' as const);
    const { id, figures } = await call('import', `${origin}/model.gguf`, { storage });
    /** Loads the model with so many slots a layer, and fills them. @returns slots in all */
    const load = async (slots: number): Promise<number> => {
      // The context's memory and alignment come on top of the figures; half a slot a layer is room for them, if experts are large.
      const room = slots < options.expertCount ? 0.5 * layers * figures.expertBytes : 1e9;
      const gpuBudgetBytes = figures.denseBytes + slots * layers * figures.expertBytes + room;
      const loaded = await call('load', { modelId: id, context: 64, gpuBudgetBytes, ramBudgetBytes: 0 });
      if (!values['shared-cores']) giveGpuItsOwnCore(profile);
      await call('generate', { ...request, maxTokens: tokens }); // compiles kernels, fills slots
      return loaded.slots;
    };
    const limited = async <T>(limit: number, work: () => Promise<T>): Promise<T> => {
      await call('limitReading', limit);
      const result = await work();
      await call('limitReading', UNLIMITED);
      return result;
    };
    /** Seconds and bytes a token. */
    const measure = async (slots: number) => {
      const { timings, cache, tokens: generated } = await call('generate', { ...request, maxTokens: tokens });
      // The prompt is in the cache but for its last token, which goes through the layers like any other.
      const perToken = (ms: number): number => ms / 1000 / tokens;
      return {
        slots,
        seconds: perToken(timings.prefillMs + timings.decodeMs),
        waitingForGpu: perToken(timings.gpuWaitMs),
        waitingForExperts: perToken(timings.expertWaitMs),
        bytes: cache.bytesRead / tokens,
        // Nothing is kept in main memory: each miss has to be read.
        missed: (cache.misses * figures.expertBytes) / tokens,
        hitRate: cache.hitRate,
        predicted: cache.misses ? cache.prefetched / cache.misses : Number.NaN,
        memory: browserMemory(profile),
        ids: generated.map((token) => token.id).join(),
      };
    };
    type Run = Awaited<ReturnType<typeof measure>>;
    /** Where all experts are resident, the store does not matter. */
    const limitsOf = (slots: number): number[] => (slots < options.expertCount ? limits : [UNLIMITED]);
    const rows = budgets.flatMap((budget) => limitsOf(budget).map((limit) => ({ budget, limit, runs: [] as Run[] })));
    const rates = new Map<number, number[]>(limits.map((limit) => [limit, []]));
    await load(Math.max(...budgets)); // makes the device, whose threads are pinned for all that follows
    // In turns: what else the machine does falls on all of them alike.
    for (let round = 0; round < Number(values.rounds); round++) {
      for (const [limit, list] of rates)
        list.push(await limited(limit, () => call('readRate', id, Math.min(RATE_BYTES, limit * RATE_SECONDS))));
      for (const budget of budgets) {
        const slots = await load(budget);
        for (const { limit, runs } of rows.filter((row) => row.budget === budget))
          runs.push(await limited(limit, () => measure(slots)));
      }
    }

    const all = rows.flatMap(({ runs }) => runs);
    if (!all.some(({ bytes }) => bytes === 0)) throw new Error('No budget held all experts: add more --slots.');
    const computing = median(all.filter(({ bytes }) => bytes === 0).map(({ seconds }) => seconds));
    for (const [limit, list] of rates) {
      const asked = limit === UNLIMITED ? 'store' : `store at ${limit / 1e9} GB/s`;
      console.log(`${asked}: ${list.map((rate) => (rate / 1e9).toFixed(limit === UNLIMITED ? 2 : 3)).join(', ')} GB/s`);
    }
    console.log(`medians of ${values.rounds} rounds; s and MB a token\n`);
    const columns = [
      'store GB/s',
      'slots',
      'hit rate',
      'predicted of misses',
      'MB read',
      'of it missed',
      's',
      'waiting for the GPU',
      'for experts',
      'rest',
      's computing',
      's reading',
      'the larger',
      'to the larger',
      'of all read',
      'browser GB',
    ];
    console.log(`| ${columns.join(' | ')} |\n|${'---|'.repeat(columns.length)}`);
    const percent = (share: number): string => (Number.isNaN(share) ? '' : `${(100 * share).toFixed(0)} %`);
    for (const { limit, runs } of rows) {
      const of = (field: Exclude<keyof Run, 'ids'>): number => median(runs.map((run) => run[field]));
      const rate = rates.has(limit) ? median(rates.get(limit)!) : UNLIMITED;
      const reading = of('missed') / rate;
      const rest = median(
        runs.map(({ seconds, waitingForGpu, waitingForExperts }) => seconds - waitingForGpu - waitingForExperts),
      );
      console.log(
        `| ${[
          of('missed') > 0 ? (rate / 1e9).toFixed(2) : '',
          of('slots'),
          percent(of('hitRate')),
          percent(of('predicted')),
          (of('bytes') / 1e6).toFixed(0),
          (of('missed') / 1e6).toFixed(0),
          of('seconds').toFixed(3),
          of('waitingForGpu').toFixed(3),
          of('waitingForExperts').toFixed(3),
          rest.toFixed(3),
          computing.toFixed(3),
          reading.toFixed(3),
          reading > computing ? 'reading' : 'computing',
          (of('seconds') / Math.max(computing, reading)).toFixed(2),
          (of('seconds') / Math.max(computing, of('bytes') / rate)).toFixed(2),
          (of('memory') / 1e9).toFixed(2),
        ].join(' | ')} |`,
      );
    }
    const same = new Set(all.map(({ ids }) => ids)).size === 1;
    console.log(`\n${tokens} greedy tokens in ${rows.length} rows: ${same ? 'all the same' : 'DIFFERENT'}.`);
    if (!same) process.exitCode = 1;
  },
);
