/**
 * Times all kernels except the matrix kernels in Chromium and prints a table of milliseconds per call.
 *
 *   npx tsx bench/ops.ts [--shapes builtin,mixtral] [--tokens 1,64] [--positions 500] [--variants rows] [--json]
 *
 * Uses the machine's GPU if there is one; `MIXTAB_GPU=software` selects the software adapter.
 */
import { parseArgs } from 'node:util';
import type { MatrixVariant } from '../workers/compute/gpu/ops/context.ts';
import { withBench } from './bench-page.ts';
import type { BenchPage, Case } from './ops-page.ts';

const SHAPES = {
  builtin: {
    embeddingLength: 256,
    headCount: 8,
    kvHeadCount: 4,
    headDim: 32,
    expertCount: 8,
    expertsPerToken: 2,
    vocabularySize: 4096,
  },
  mixtral: {
    embeddingLength: 4096,
    headCount: 32,
    kvHeadCount: 8,
    headDim: 128,
    expertCount: 8,
    expertsPerToken: 2,
    vocabularySize: 32000,
  },
};

const { values } = parseArgs({
  options: {
    shapes: { type: 'string', default: 'builtin,mixtral' },
    tokens: { type: 'string', default: '1' },
    positions: { type: 'string', default: '500' },
    variants: { type: 'string', default: 'rows' },
    json: { type: 'boolean', default: false },
  },
});
const list = (text: string): string[] => text.split(',');

function cases(): (Case & { shape: string })[] {
  return list(values.shapes).flatMap((shape) =>
    list(values.tokens).flatMap((tokens) =>
      list(values.positions).flatMap((position) =>
        list(values.variants).map((variant) => ({
          ...SHAPES[shape as keyof typeof SHAPES],
          shape,
          tokens: Number(tokens),
          position: Number(position),
          capacity: Math.max(512, Number(position) + Number(tokens)),
          variant: variant as MatrixVariant,
        })),
      ),
    ),
  );
}

await withBench<BenchPage>('ops', {}, async (call) => {
  const adapter = await call('adapter');
  console.error(
    `${adapter.vendor} ${adapter.architecture} ${adapter.description}${adapter.software ? ' (software)' : ''}`,
  );
  const results = [];
  if (!values.json) console.log('| shape | tokens | position | variant | operation | ms |\n|---|---|---|---|---|---|');
  for (const which of cases()) {
    const timings = await call('time', which);
    results.push({ ...which, timings });
    if (values.json) continue;
    const { shape, tokens, position, variant } = which;
    for (const { name, milliseconds } of timings) {
      console.log(`| ${[shape, tokens, position, variant, name, milliseconds.toFixed(3)].join(' | ')} |`);
    }
  }
  if (values.json) console.log(JSON.stringify({ adapter, results }));
});
