/**
 * Writes the goldens of the dequantization, computed with ggml's own library:
 * - blocks.json: for each type, a few blocks that ggml quantized and the weights that it dequantizes them to.
 * - random-blocks.json: for each type, a hash of the weights that ggml reads from blocks of random bytes.
 *
 * A tool for developers, not run by the tests. On Linux x64:
 *   npm install --no-save koffi @node-llama-cpp/linux-x64 && node workers/format/quantization/golden/make-goldens.mjs
 */
import { createHash } from 'node:crypto';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import koffi from 'koffi';
import { randomBytes, zeroUnlessFinite } from './random-blocks.mjs';

const folder = join(process.cwd(), 'node_modules/@node-llama-cpp/linux-x64/bins');
const file = readdirSync(folder, { recursive: true }).find((name) => /libggml-base\.so/.test(name));
const ggml = koffi.load(join(folder, file));
const quantize = ggml.func(
  'size_t ggml_quantize_chunk(int type, const float* src, void* dst, int64_t start, ' +
    'int64_t rows, int64_t cols, const float* imatrix)',
);

const COLS = 512;
/** By type: ggml's number, weights per block, bytes per block, name of the dequantizer. */
const TYPES = {
  F16: [1, 1, 2, 'ggml_fp16_to_fp32_row'],
  BF16: [30, 1, 2, 'ggml_bf16_to_fp32_row'],
  Q4_0: [2, 32, 18, 'dequantize_row_q4_0'],
  Q4_1: [3, 32, 20, 'dequantize_row_q4_1'],
  Q5_0: [6, 32, 22, 'dequantize_row_q5_0'],
  Q5_1: [7, 32, 24, 'dequantize_row_q5_1'],
  Q8_0: [8, 32, 34, 'dequantize_row_q8_0'],
  Q2_K: [10, 256, 84, 'dequantize_row_q2_K'],
  Q3_K: [11, 256, 110, 'dequantize_row_q3_K'],
  Q4_K: [12, 256, 144, 'dequantize_row_q4_K'],
  Q5_K: [13, 256, 176, 'dequantize_row_q5_K'],
  Q6_K: [14, 256, 210, 'dequantize_row_q6_K'],
  IQ2_XXS: [16, 256, 66, 'dequantize_row_iq2_xxs'],
  IQ2_XS: [17, 256, 74, 'dequantize_row_iq2_xs'],
  IQ3_XXS: [18, 256, 98, 'dequantize_row_iq3_xxs'],
  IQ1_S: [19, 256, 50, 'dequantize_row_iq1_s'],
  IQ4_NL: [20, 32, 18, 'dequantize_row_iq4_nl'],
  IQ3_S: [21, 256, 110, 'dequantize_row_iq3_s'],
  IQ2_S: [22, 256, 82, 'dequantize_row_iq2_s'],
  IQ4_XS: [23, 256, 136, 'dequantize_row_iq4_xs'],
  IQ1_M: [29, 256, 56, 'dequantize_row_iq1_m'],
  MXFP4: [39, 32, 17, 'dequantize_row_mxfp4'],
};

// Two blocks of 256 weights: ordinary weights, then very small ones, whose scales become subnormal.
const source = Float32Array.from(
  { length: COLS },
  (_, i) => Math.sin(i * 12.9898) * (i < 256 ? 0.7 : 2e-5) + (i % 37 === 0 ? 0.01 : 0),
);
// The importance of each column. ggml cannot quantize to some types without it.
const imatrix = Float32Array.from({ length: COLS }, (_, i) => 1 + (i % 7));
const base64 = (array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString('base64');

const goldens = [];
const hashes = [];
for (const [type, [number, blockWeights, blockBytes, dequantizer]] of Object.entries(TYPES)) {
  const dequantize = ggml.func(`void ${dequantizer}(const void* blocks, float* out, int64_t count)`);
  const blocks = new Uint8Array((COLS / blockWeights) * blockBytes);
  quantize(number, source, blocks, 0, 1, COLS, imatrix);
  const weights = new Float32Array(COLS);
  dequantize(blocks, weights, COLS);
  goldens.push({ type, blocks: base64(blocks), weights: base64(weights) });

  // Enough that every entry of every grid occurs.
  const count = 2 ** 18;
  const random = new Float32Array(count);
  dequantize(randomBytes((count / blockWeights) * blockBytes), random, count);
  zeroUnlessFinite(random);
  hashes.push({
    type,
    weights: count,
    sha256: createHash('sha256').update(new Uint8Array(random.buffer)).digest('hex'),
  });
}
const lines = (items) => `[\n${items.map((item) => JSON.stringify(item)).join(',\n')}\n]\n`;
writeFileSync(join(import.meta.dirname, 'blocks.json'), lines(goldens));
writeFileSync(join(import.meta.dirname, 'random-blocks.json'), lines(hashes));
