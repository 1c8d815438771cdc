/**
 * Measures the read rate of the browser's stores, both through the engine's reader and in plain loops, in one run.
 *
 *   npx tsx bench/store.ts [--records 8] [--megabytes 99] [--rounds 4]
 */
import { parseArgs } from 'node:util';
import { withBench } from './bench-page.ts';
import type { BenchPage } from './store-page.ts';

const { values } = parseArgs({
  options: {
    records: { type: 'string', default: '8' },
    megabytes: { type: 'string', default: '99' },
    rounds: { type: 'string', default: '4' },
  },
});

// A profile on disk; without one, both stores would be in memory.
await withBench<BenchPage>('store', {}, async (call) => {
  const { write, results } = await call(
    'run',
    Number(values.records),
    Number(values.megabytes) * 1e6,
    Number(values.rounds),
  );
  const median = (name: string): number => [...results[name]].sort((a, b) => a - b)[results[name].length >> 1];
  const best = (name: string): number => Math.max(...results[name]);
  const bareLoops = Object.keys(results).filter((name) => name.startsWith('IndexedDB bare'));
  // Loops that allocate new memory for each read, and all loops, including those that reuse buffers as the engine does.
  const fresh = bareLoops.filter((name) => !name.endsWith('buffers'));
  const ratios = (name: string, of: (name: string) => number): string =>
    [fresh, bareLoops].map((loops) => (of(name) / Math.max(...loops.map(of))).toFixed(2)).join(' / ');
  console.log(
    `${values.rounds} alternating rounds; ratios to the best plain IndexedDB loop into new memory / of all\n`,
  );
  console.log('| reading | GB/s, median | best round | ratios of medians | of best rounds |\n|---|---|---|---|---|');
  for (const name of Object.keys(results)) {
    console.log(
      `| ${name} | ${median(name).toFixed(2)} | ${best(name).toFixed(2)} | ${ratios(name, median)} | ${ratios(name, best)} |`,
    );
  }
  console.log(`Writing: IndexedDB ${write.indexeddb.toFixed(2)} GB/s, OPFS ${write.opfs.toFixed(2)} GB/s.`);
});
