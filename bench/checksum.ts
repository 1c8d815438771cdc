/**
 * Measures checksums of hash-wasm on one core, in Node and in a worker of Chromium, and SHA-256 of WebCrypto. Times are
 * of single pieces. On a busy machine the upper quartile shows those that were not interrupted.
 *
 *   npx tsx bench/checksum.ts [--pieces 1,4,16] [--rounds 7]
 */
import { parseArgs } from 'node:util';
import { withBench } from './bench-page.ts';
import type { BenchPage } from './checksum-page.ts';
import { type ChecksumRates, checksumRates } from './checksum-rates.ts';

const { values } = parseArgs({
  options: { pieces: { type: 'string', default: '1,4,16' }, rounds: { type: 'string', default: '7' } },
});
const pieces = values.pieces.split(',').map(Number);

function print(where: string, rates: ChecksumRates): void {
  const columns = pieces.map((size) => `${size} MB`);
  console.log(
    `\n| GB/s in ${where}, median (upper quartile) | ${columns.join(' | ')} |\n|---|${'---|'.repeat(columns.length)}`,
  );
  for (const [name, cells] of Object.entries(rates)) {
    const text = Object.values(cells).map((rates) => {
      const sorted = rates.sort((a, b) => a - b);
      return `${sorted[sorted.length >> 1].toFixed(2)} (${sorted[Math.floor(sorted.length * 0.75)].toFixed(2)})`;
    });
    console.log(`| ${name} | ${text.join(' | ')} |`);
  }
}

print('Node', await checksumRates(pieces, Number(values.rounds)));
await withBench<BenchPage>('checksum', {}, async (call) => {
  print('a worker of Chromium', await call('run', pieces, Number(values.rounds)));
});
