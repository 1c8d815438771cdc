/**
 * Writes workers/format/quantization/iq-grids.ts: the tables of the IQ types, read out of ggml's own dequantizers by giving them one
 * block for each index, with all scales 1 and all signs plus. A tool for developers, not run by the tests (Linux x64):
 *   npm install --no-save koffi @node-llama-cpp/linux-x64 && node workers/format/quantization/golden/make-grids.mjs
 */
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import koffi from 'koffi';

const folder = join(process.cwd(), 'node_modules/@node-llama-cpp/linux-x64/bins');
const file = readdirSync(folder, { recursive: true }).find((name) => /libggml-base\.so/.test(name));
const ggml = koffi.load(join(folder, file));

/**
 * Where a block holds the low 8 bits of its first index, and the high ones where there are any; `value` turns the
 * first weights (d = 1, lowest scale) into the numbers of the grid.
 */
const GRIDS = {
  IQ2_XXS: { name: 'iq2_xxs', bytes: 66, entries: 256, low: 2, width: 8, value: (w) => w * 8 },
  IQ2_XS: { name: 'iq2_xs', bytes: 74, entries: 512, low: 2, high: 3, width: 8, value: (w) => w * 8 },
  IQ2_S: { name: 'iq2_s', bytes: 82, entries: 1024, low: 2, high: 66, width: 8, value: (w) => w * 8 },
  IQ3_XXS: { name: 'iq3_xxs', bytes: 98, entries: 256, low: 2, width: 4, value: (w) => w * 4 },
  IQ3_S: { name: 'iq3_s', bytes: 110, entries: 512, low: 2, high: 66, width: 4, value: (w) => w },
  IQ1: { name: 'iq1_s', bytes: 50, entries: 2048, low: 2, high: 34, width: 8, value: (w) => w - 0.125 },
};

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

/** Four hex digits an entry: the numbers as indices into `levels`, 16 / width bits each, the first lowest. */
function encode(grid, levels) {
  return grid.map((numbers) => {
    const bits = 16 / numbers.length;
    const code = numbers.reduce((sum, number, i) => sum | (levels.indexOf(number) << (i * bits)), 0);
    return code.toString(16).padStart(4, '0');
  });
}

const lines = (codes) => {
  const out = [];
  for (let i = 0; i < codes.length; i += 28) out.push(`    '${codes.slice(i, i + 28).join('')}'`);
  return out.join(' +\n');
};

let text = `/**
 * The tables of ggml's IQ types: groups of 8 or 4 numbers that a quant's index stands for. Data of the format, written
 * by workers/format/quantization/golden/make-grids.mjs, which reads them out of ggml's own library.
 */
export interface IqGrid {
  /** Numbers of an entry. */
  width: 4 | 8;
  /** The numbers that occur, ascending. */
  levels: readonly number[];
  /** Four hex digits an entry: its numbers as indices into \`levels\`, 16 / width bits each, the first in the lowest bits. */
  codes: string;
}

export const IQ_GRIDS = {
`;
for (const [type, probing] of Object.entries(GRIDS)) {
  const grid = probe(probing);
  const levels = [...new Set(grid.flat())].sort((a, b) => a - b);
  text += `  ${type}: {\n    width: ${probing.width},\n    levels: [${levels.join(', ')}],\n    codes:\n${lines(encode(grid, levels)).replaceAll(/^/gm, '  ')},\n  },\n`;
}
text += `} as const satisfies Record<string, IqGrid>;

export type IqGridName = keyof typeof IQ_GRIDS;

/** All numbers of a grid, entry after entry, each entry \`width\` long. */
export function expandGrid(name: IqGridName): Int8Array<ArrayBuffer> {
  const { width, levels, codes }: IqGrid = IQ_GRIDS[name];
  const bits = 16 / width;
  const numbers = new Int8Array((codes.length / 4) * width);
  for (let entry = 0; entry * 4 < codes.length; entry++) {
    const code = Number.parseInt(codes.slice(entry * 4, entry * 4 + 4), 16);
    for (let i = 0; i < width; i++) numbers[entry * width + i] = levels[(code >> (i * bits)) & (2 ** bits - 1)];
  }
  return numbers;
}
`;
writeFileSync(join(import.meta.dirname, '../iq-grids.ts'), text);
