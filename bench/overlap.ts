/**
 * Measures how well reading and computing overlap. A model with Mixtral's structure, small enough to be fully resident,
 * generates the same tokens at several GPU budgets and store rates.
 *
 *   npx tsx bench/overlap.ts --profile DIR [--layers 16] [--dim 2048] [--ffn 3584] [--heads 16] [--kv-heads 4] [--type T]
 *                            [--residual-scale 0.3] [--slots 2,3,4,6,8] [--store-rate full] [--rounds 3] [--tokens 12]
 *                            [--storage indexeddb|opfs] [--shared-cores]
 *
 * A token takes at least as long as computing it with all experts resident, and at least as long as reading its missing
 * experts at the store's rate. This run measures both limits, alternating with the budgets. The columns:
 *
 * - `to the larger`: time per token divided by the larger limit.
 * - `of it missed`: the bytes read that a token used. The rest are wrong predictions that were read completely
 *   (cancelled reads are not counted). The reading limit does not include them.
 * - `of all read`: the ratio if the limit includes the wrong predictions. The difference between the two ratios is the
 *   cost of reading too much; the rest is waiting.
 *
 * The threads of the software GPU get their own core, because a GPU that computes on all cores leaves none for reading.
 * `--shared-cores` turns this off.
 *
 * With a software GPU, computing is always slower than the disk. `--store-rate 0.1,0.2,full` (GB/s) shows the opposite:
 * it limits the engine's reader to the rate of a phone's flash memory or an old disk (bench/rate-limit.ts). The store's
 * rate is then measured with the same limit. Loading the model, and the row with all experts resident, are not limited.
 */
import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { syntheticRanged } from '../scripts/cli/server.ts';
import { synthOptions } from '../scripts/cli/synth-options.ts';
import type { ModelFigures } from '../src/contract/import-api.ts';
import { createSynth } from '../workers/synth/synth.ts';
import { type Call, withBench } from './bench-page.ts';
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
if (!values.profile)
  throw new Error('--profile DIR is missing. It is the folder in which the browser stores the model.');
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
/** Bytes per second. */
const limits = values['store-rate'].split(',').map((rate) => (rate === 'full' ? UNLIMITED : Number(rate) * 1e9));
if (!limits.every((limit) => limit > 0))
  throw new Error('--store-rate must be a list of rates in GB/s or full, for example 0.1,0.2,full.');
/** Duration of the measurement of the store's rate in seconds, and the maximum number of bytes. */
const RATE_SECONDS = 3;
const RATE_BYTES = 1e9;

/** One answer, per token. */
interface Run {
  slots: number;
  seconds: number;
  waitingForGpu: number;
  waitingForExperts: number;
  bytes: number;
  /** Bytes of the records that a token used. */
  missed: number;
  hitRate: number;
  predicted: number;
  /** Bytes of the browser's main memory. */
  memory: number;
  /** Ids of the generated tokens. */
  ids: string;
}

/** All runs with one budget and one limit. */
interface Row {
  /** Slots per layer. */
  budget: number;
  /** Maximum rate of the reader in bytes per second. */
  limit: number;
  runs: Run[];
}

/** Read rates of the store in bytes per second, by limit. */
type Rates = Map<number, number[]>;

interface Model {
  call: Call<BenchPage>;
  id: string;
  figures: ModelFigures;
}

/**
 * Loads the model with this number of slots per layer and fills them.
 * @returns the total number of slots
 */
async function load({ call, id, figures }: Model, slots: number): Promise<number> {
  // The context and alignment need memory too. Half a slot per layer is enough if experts are large.
  const reserve = slots < options.expertCount ? 0.5 * layers * figures.expertBytes : 1e9;
  const gpuBudgetBytes = figures.denseBytes + slots * layers * figures.expertBytes + reserve;
  const loaded = await call('load', { modelId: id, context: 64, gpuBudgetBytes, ramBudgetBytes: 0 });
  if (!values['shared-cores']) giveGpuItsOwnCore(profile);
  await call('generate', { ...request, maxTokens: tokens }); // compiles kernels, fills slots
  return loaded.slots;
}

async function limited<T>({ call }: Model, limit: number, work: () => Promise<T>): Promise<T> {
  await call('limitReading', limit);
  const result = await work();
  await call('limitReading', UNLIMITED);
  return result;
}

async function measure({ call, figures }: Model, slots: number): Promise<Run> {
  const { timings, cache, tokens: generated } = await call('generate', { ...request, maxTokens: tokens });
  // All of the prompt but its last token is in the KV cache. The last one is computed like a generated token.
  const perToken = (ms: number): number => ms / 1000 / tokens;
  return {
    slots,
    seconds: perToken(timings.prefillMs + timings.decodeMs),
    waitingForGpu: perToken(timings.computeMs),
    waitingForExperts: perToken(timings.expertWaitMs),
    bytes: cache.bytesRead / tokens,
    // The RAM budget is 0, so every miss is read from the store.
    missed: (cache.misses * figures.expertBytes) / tokens,
    hitRate: cache.hitRate,
    predicted: cache.misses ? cache.prefetched / cache.misses : Number.NaN,
    memory: browserMemory(profile),
    ids: generated.map((token) => token.id).join(),
  };
}

async function measureAll(model: Model): Promise<{ rows: Row[]; rates: Rates }> {
  // If all experts are resident, the store's rate does not matter.
  const limitsOf = (slots: number): number[] => (slots < options.expertCount ? limits : [UNLIMITED]);
  const rows = budgets.flatMap((budget) => limitsOf(budget).map((limit): Row => ({ budget, limit, runs: [] })));
  const rates: Rates = new Map(limits.map((limit) => [limit, []]));
  await load(model, Math.max(...budgets)); // creates the device, whose threads stay pinned
  // Alternating, so that other work on the machine affects all rows alike.
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const [limit, list] of rates) {
      const bytes = Math.min(RATE_BYTES, limit * RATE_SECONDS);
      list.push(await limited(model, limit, () => model.call('readRate', model.id, bytes)));
    }
    for (const budget of budgets) {
      const slots = await load(model, budget);
      for (const { limit, runs } of rows.filter((row) => row.budget === budget))
        runs.push(await limited(model, limit, () => measure(model, slots)));
    }
  }
  return { rows, rates };
}

const COLUMNS = [
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

const percent = (share: number): string => (Number.isNaN(share) ? '' : `${(100 * share).toFixed(0)} %`);

/**
 * @param rate of the store, in bytes per second
 * @param computing seconds per token with all experts resident
 */
function tableRow({ runs }: Row, rate: number, computing: number): string {
  const medianOf = (field: Exclude<keyof Run, 'ids'>): number => median(runs.map((run) => run[field]));
  const reading = medianOf('missed') / rate;
  const rest = median(
    runs.map(({ seconds, waitingForGpu, waitingForExperts }) => seconds - waitingForGpu - waitingForExperts),
  );
  const cells = [
    medianOf('missed') > 0 ? (rate / 1e9).toFixed(2) : '',
    medianOf('slots'),
    percent(medianOf('hitRate')),
    percent(medianOf('predicted')),
    (medianOf('bytes') / 1e6).toFixed(0),
    (medianOf('missed') / 1e6).toFixed(0),
    medianOf('seconds').toFixed(3),
    medianOf('waitingForGpu').toFixed(3),
    medianOf('waitingForExperts').toFixed(3),
    rest.toFixed(3),
    computing.toFixed(3),
    reading.toFixed(3),
    reading > computing ? 'reading' : 'computing',
    (medianOf('seconds') / Math.max(computing, reading)).toFixed(2),
    (medianOf('seconds') / Math.max(computing, medianOf('bytes') / rate)).toFixed(2),
    (medianOf('memory') / 1e9).toFixed(2),
  ];
  return `| ${cells.join(' | ')} |`;
}

/**
 * Prints the store's rates and the table.
 * @returns whether all runs generated the same tokens
 */
function report({ rows, rates }: { rows: Row[]; rates: Rates }): boolean {
  const all = rows.flatMap(({ runs }) => runs);
  if (!all.some(({ bytes }) => bytes === 0))
    throw new Error('No budget was large enough for all experts. Add a larger number to --slots.');
  const computing = median(all.filter(({ bytes }) => bytes === 0).map(({ seconds }) => seconds));
  for (const [limit, list] of rates) {
    const label = limit === UNLIMITED ? 'store' : `store at ${limit / 1e9} GB/s`;
    console.log(`${label}: ${list.map((rate) => (rate / 1e9).toFixed(limit === UNLIMITED ? 2 : 3)).join(', ')} GB/s`);
  }
  console.log(`medians of ${values.rounds} rounds; s and MB per token\n`);
  console.log(`| ${COLUMNS.join(' | ')} |\n|${'---|'.repeat(COLUMNS.length)}`);
  for (const row of rows) {
    const rate = rates.has(row.limit) ? median(rates.get(row.limit)!) : UNLIMITED;
    console.log(tableRow(row, rate, computing));
  }
  const same = new Set(all.map(({ ids }) => ids)).size === 1;
  console.log(`\n${tokens} greedy tokens in ${rows.length} rows: ${same ? 'all the same' : 'DIFFERENT'}.`);
  return same;
}

await withBench<BenchPage>(
  'overlap',
  { profile, port: Number(values.port), ranged: { '/model.gguf': syntheticRanged(file) } },
  async (call, origin) => {
    const storage = values.storage === 'opfs' ? ('opfs' as const) : ('indexeddb' as const);
    const { id, figures } = await call('import', `${origin}/model.gguf`, { storage });
    if (!report(await measureAll({ call, id, figures }))) process.exitCode = 1;
  },
);
