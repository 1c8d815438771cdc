/**
 * Times the matrix kernels in Chromium and prints a table: GFLOP/s, GB/s of weights, ratio to a bare f32 loop.
 *
 *   npx tsx bench/matmul.ts [--shapes 256x256,4096x256] [--types Q8_0,...] [--variants rows,workgroup]
 *                           [--tokens 1,64] [--kernels matmul,experts] [--json]
 *
 * Uses the machine's GPU if there is one; `MIXTAB_GPU=software` selects the software adapter.
 */
import { parseArgs } from 'node:util';
import type { MatrixVariant } from '../workers/compute/gpu/ops/context.ts';
import { WEIGHT_TYPES, type WeightTypeName } from '../workers/format/weight-layout.ts';
import { withBench } from './bench-page.ts';
import type { BenchPage, Case, Timing } from './matmul-page.ts';

const { values } = parseArgs({
  options: {
    shapes: { type: 'string', default: '256x256,512x256,4096x256,4096x4096,14336x4096' },
    types: { type: 'string', default: Object.keys(WEIGHT_TYPES).join() },
    variants: { type: 'string', default: 'rows,workgroup' },
    tokens: { type: 'string', default: '1,64' },
    kernels: { type: 'string', default: 'matmul' },
    json: { type: 'boolean', default: false },
  },
});

function cases(): Case[] {
  const list = (text: string): string[] => text.split(',');
  return list(values.shapes).flatMap((shape) => {
    const [rows, cols] = shape.split('x').map(Number);
    const bare: Case = { kernel: 'bare', type: 'F32', variant: 'rows', rows, cols, tokens: 1 };
    const timed = list(values.kernels).flatMap((kernel) =>
      list(values.tokens).flatMap((tokens) =>
        list(values.variants).flatMap((variant) =>
          list(values.types).map(
            (type): Case => ({
              kernel: kernel as Case['kernel'],
              type: type as WeightTypeName,
              variant: variant as MatrixVariant,
              rows,
              cols,
              tokens: Number(tokens),
            }),
          ),
        ),
      ),
    );
    return [bare, ...timed];
  });
}

await withBench<BenchPage>('matmul', {}, async (call) => {
  const adapter = await call('adapter');
  console.error(
    `${adapter.vendor} ${adapter.architecture} ${adapter.description}${adapter.software ? ' (software)' : ''}`,
  );
  if (!values.json)
    console.log(
      '| kernel | shape | tokens | type | variant | ms | GFLOP/s | GB/s | first call, ms | to bare loop |\n|---|---|---|---|---|---|---|---|---|---|',
    );
  const results: (Case & Timing)[] = [];
  let bare = 1;
  for (const which of cases()) {
    const timing = await call('time', which);
    if (which.kernel === 'bare') bare = timing.gigaflops;
    results.push({ ...which, ...timing });
    if (values.json) continue;
    const { kernel, rows, cols, tokens, type, variant } = which;
    const numbers = [
      timing.milliseconds.toFixed(3),
      timing.gigaflops.toFixed(2),
      timing.gigabytesPerSecond.toFixed(2),
      timing.firstMilliseconds.toFixed(0),
    ];
    console.log(
      `| ${[kernel, `${rows}x${cols}`, tokens, type, variant, ...numbers, (timing.gigaflops / bare).toFixed(1)].join(' | ')} |`,
    );
  }
  if (values.json) console.log(JSON.stringify({ adapter, results }));
});
