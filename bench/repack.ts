/**
 * Measures the speed of repacking on one core for each weight type, and of a plain copy of the same bytes.
 *
 *   npx tsx bench/repack.ts [--types Q4_K,Q6_K] [--megabytes 64] [--json]
 *
 * Source and target are as in an import: a range of the file, and a new record. Reports the best of five rounds.
 */
import { parseArgs } from 'node:util';
import { ggufBytes, repackTensor } from '../workers/format/quantization/repack.ts';
import { layoutTensor, WEIGHT_TYPES, type WeightTypeName } from '../workers/format/weight-layout.ts';

const { values } = parseArgs({
  options: {
    types: { type: 'string', default: Object.keys(WEIGHT_TYPES).join() },
    megabytes: { type: 'string', default: '64' },
    json: { type: 'boolean', default: false },
  },
});

const COLS = 4096;
const ROUNDS = 5;

/** Returns the seconds of the fastest call. */
function best(call: () => void): number {
  let seconds = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    call();
    seconds = Math.min(seconds, (performance.now() - start) / 1000);
  }
  return seconds;
}

const results = values.types.split(',').map((name) => {
  const type = WEIGHT_TYPES[name as WeightTypeName];
  if (!type) throw new Error(`There is no weight type ${name}. Use ${Object.keys(WEIGHT_TYPES).join(', ')}.`);
  const rows = Math.floor((Number(values.megabytes) * 1e6) / ggufBytes(type, 1, COLS));
  const source = Uint8Array.from({ length: ggufBytes(type, rows, COLS) }, (_, i) => i * 37);
  const layout = layoutTensor('w', type, rows, COLS, 0);
  const target = new Uint8Array(layout.bytes);
  const copy = source.length / best(() => target.set(source)) / 1e6;
  const repack = source.length / best(() => repackTensor(source, layout, target)) / 1e6;
  return { type: name, repackMBs: repack, copyMBs: copy, ratio: repack / copy };
});

if (values.json) console.log(JSON.stringify(results));
else {
  console.log('| type | repack, MB/s | bare copy, MB/s | ratio |\n|---|---|---|---|');
  for (const { type, repackMBs, copyMBs, ratio } of results) {
    console.log(`| ${type} | ${repackMBs.toFixed(0)} | ${copyMBs.toFixed(0)} | ${ratio.toFixed(2)} |`);
  }
}
