/**
 * Writes workers/format/quantization/iq-grid-data.ts, the grids of the IQ types. It reads them out of ggml's own
 * dequantizers by passing one block per grid index, with all scales 1 and all signs plus.
 *
 * A tool for developers, not run by the tests. On Linux x64:
 *   npm install --no-save koffi @node-llama-cpp/linux-x64 && node workers/format/quantization/golden/make-grids.mjs
 */
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import koffi from 'koffi';

const folder = join(process.cwd(), 'node_modules/@node-llama-cpp/linux-x64/bins');
const file = readdirSync(folder, { recursive: true }).find((name) => /libggml-base\.so/.test(name));
const ggml = koffi.load(join(folder, file));

/**
 * For each grid: the dequantizer's name, the bytes of a block, the number of entries, and where a block has the low 8
 * bits of its first index (`low`) and the high bits, if any (`high`). `value` turns a block's first weights, with d = 1
 * and the lowest scale, into the grid's numbers.
 */
const GRIDS = {
  IQ2_XXS: { name: 'iq2_xxs', bytes: 66, entries: 256, low: 2, width: 8, value: (w) => w * 8 },
  IQ2_XS: { name: 'iq2_xs', bytes: 74, entries: 512, low: 2, high: 3, width: 8, value: (w) => w * 8 },
  IQ2_S: { name: 'iq2_s', bytes: 82, entries: 1024, low: 2, high: 66, width: 8, value: (w) => w * 8 },
  IQ3_XXS: { name: 'iq3_xxs', bytes: 98, entries: 256, low: 2, width: 4, value: (w) => w * 4 },
  IQ3_S: { name: 'iq3_s', bytes: 110, entries: 512, low: 2, high: 66, width: 4, value: (w) => w },
  IQ1: { name: 'iq1_s', bytes: 50, entries: 2048, low: 2, high: 34, width: 8, value: (w) => w - 0.125 },
};

/** Reads all entries of a grid out of ggml. */
function probe({ name, bytes, entries, low, high, width, value }) {
  const dequantize = ggml.func(`void dequantize_row_${name}(const void* block, float* out, int64_t count)`);
  return Array.from({ length: entries }, (_, index) => {
    const block = new Uint8Array(bytes);
    block.set([0x00, 0x3c]); // d = 1
    block[low] = index & 255;
    if (high !== undefined) block[high] = index >> 8;
    const weights = new Float32Array(256);
    dequantize(block, weights, 256);
    return [...weights.slice(0, width)].map(value);
  });
}

/**
 * Four hex digits per entry: its numbers as indices into `levels`, 16 / width bits each, the first in the lowest bits.
 */
function encode(grid, levels) {
  return grid.map((numbers) => {
    const bits = 16 / numbers.length;
    const code = numbers.reduce((sum, number, i) => sum | (levels.indexOf(number) << (i * bits)), 0);
    return code.toString(16).padStart(4, '0');
  });
}

/** A grid as an entry of `IQ_GRIDS`, with lines of at most 120 columns. */
function entryOf(type, { width, levels, codes }) {
  const text = [];
  for (let i = 0; i < codes.length; i += 27) text.push(`      '${codes.slice(i, i + 27).join('')}'`);
  return [
    `  ${type}: {`,
    `    width: ${width},`,
    `    levels: [${levels.join(', ')}],`,
    '    codes:',
    `${text.join(' +\n')},`,
    '  },',
  ];
}

const entries = Object.entries(GRIDS).flatMap(([type, probing]) => {
  const grid = probe(probing);
  const levels = [...new Set(grid.flat())].sort((a, b) => a - b);
  return entryOf(type, { width: probing.width, levels, codes: encode(grid, levels) });
});
const text = `/** Data of ggml's IQ grids, written by golden/make-grids.mjs. See iq-grids.ts. */
export const IQ_GRIDS = {
${entries.join('\n')}
} as const;
`;
writeFileSync(join(import.meta.dirname, '../iq-grid-data.ts'), text);
