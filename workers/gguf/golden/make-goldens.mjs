/**
 * Writes blocks.json: a few blocks of each type as ggml's own library quantizes them, and what the same
 * library dequantizes them to. A tool for developers, not run by the tests (Linux x64):
 *   npm install --no-save koffi @node-llama-cpp/linux-x64 && node workers/gguf/golden/make-goldens.mjs
 */
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import koffi from 'koffi';

const folder = join(process.cwd(), 'node_modules/@node-llama-cpp/linux-x64/bins');
const file = readdirSync(folder, { recursive: true }).find((name) => /libggml-base\.so/.test(name));
const ggml = koffi.load(join(folder, file));
const quantize = ggml.func('size_t ggml_quantize_chunk(int type, const float* src, void* dst, int64_t start, int64_t rows, int64_t cols, const float* imatrix)');

const COLS = 512;
const TYPES = {
  F16: { number: 1, bytes: COLS * 2, dequantize: 'ggml_fp16_to_fp32_row' },
  BF16: { number: 30, bytes: COLS * 2, dequantize: 'ggml_bf16_to_fp32_row' },
  Q4_0: { number: 2, bytes: (COLS / 32) * 18, dequantize: 'dequantize_row_q4_0' },
  Q8_0: { number: 8, bytes: (COLS / 32) * 34, dequantize: 'dequantize_row_q8_0' },
  Q4_K: { number: 12, bytes: (COLS / 256) * 144, dequantize: 'dequantize_row_q4_K' },
  Q6_K: { number: 14, bytes: (COLS / 256) * 210, dequantize: 'dequantize_row_q6_K' },
};

// Two super-blocks: ordinary weights, and very small ones whose scales become subnormal.
const source = Float32Array.from({ length: COLS }, (_, i) => Math.sin(i * 12.9898) * (i < 256 ? 0.7 : 2e-5) + (i % 37 === 0 ? 0.01 : 0));
const base64 = (array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString('base64');

const goldens = Object.entries(TYPES).map(([type, { number, bytes, dequantize }]) => {
  const blocks = new Uint8Array(bytes);
  quantize(number, source, blocks, 0, 1, COLS, null);
  const weights = new Float32Array(COLS);
  ggml.func(`void ${dequantize}(const void* blocks, float* out, int64_t count)`)(blocks, weights, COLS);
  return { type, blocks: base64(blocks), weights: base64(weights) };
});
writeFileSync(join(import.meta.dirname, 'blocks.json'), `[\n${goldens.map((golden) => JSON.stringify(golden)).join(',\n')}\n]\n`);
