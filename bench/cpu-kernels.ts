/**
 * Speed of the CPU kernels on one thread of Node, as process CPU time, so that other users of the machine matter less.
 * Each type is measured in many short runs; the best counts. A bare loop over the same bytes runs in turns with it.
 *
 *     npx tsx bench/cpu-kernels.ts [--types Q4_K,Q2_K] [--shapes 14336x4096,4096x1792] [--tokens 1,16] [--rounds 20]
 *
 * Columns: billions of multiplications and additions per second, GB of weights per second, and the bare loop's GB/s.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import asc from 'assemblyscript/asc';
import { KernelModule } from '../workers/compute/cpu/kernels-module.ts';
import { isPlainType, repackTensor } from '../workers/format/quantization/repack.ts';
import { layoutTensor, WEIGHT_TYPES, type WeightTypeName } from '../workers/format/weight-layout.ts';
import { hashName, writeBlock } from '../workers/synth/random-blocks.ts';

const BARE_LOOP = `
  export function stream(at: usize, bytes: usize): i32 {
    let a = i32x4.splat(0), b = a, c = a, d = a;
    for (let i: usize = 0; i < bytes; i += 64) {
      a = v128.xor(a, v128.load(at + i));
      b = v128.xor(b, v128.load(at + i, 16));
      c = v128.xor(c, v128.load(at + i, 32));
      d = v128.xor(d, v128.load(at + i, 48));
    }
    return v128.any_true(v128.xor(v128.xor(a, b), v128.xor(c, d)));
  }`;

const { values: args } = parseArgs({
  options: {
    types: { type: 'string', default: 'Q2_K,Q4_K,Q3_K,Q6_K,Q5_K,Q8_0,Q4_0' },
    shapes: { type: 'string', default: '14336x4096,4096x1792' },
    tokens: { type: 'string', default: '1' },
    rounds: { type: 'string', default: '20' },
  },
});
const types = (args.types === 'all' ? Object.keys(WEIGHT_TYPES) : args.types.split(',')) as WeightTypeName[];
const compiled = new WebAssembly.Module(
  readFileSync(process.env.KERNELS ?? new URL('../workers/compute/cpu/kernels.wasm', import.meta.url)),
);

async function bareLoop(memory: WebAssembly.Memory): Promise<(at: number, bytes: number) => number> {
  const options = { optimizeLevel: 3, enable: ['simd'], runtime: 'stub', importMemory: true, use: ['abort='] };
  const { binary, stderr } = await asc.compileString(BARE_LOOP, options as never);
  if (!binary) throw new Error(stderr.toString());
  const { instance } = await WebAssembly.instantiate(binary as BufferSource, { env: { memory } });
  return (instance as unknown as { exports: { stream: (at: number, bytes: number) => number } }).exports.stream;
}

/** A matrix of random blocks; only the first 16 rows are different. */
function randomMatrix(type: WeightTypeName, rows: number, columns: number) {
  const weightType = WEIGHT_TYPES[type];
  const rowBlocks = columns / weightType.blockWeights;
  const rowBytes = rowBlocks * weightType.blockBytes;
  const gguf = new Uint8Array(rows * rowBytes);
  const recipe = { type, seed: hashName('bench', 1), deviation: 0.02 };
  for (let n = 0; n < 16 * rowBlocks; n++) writeBlock(recipe, n, gguf, n * weightType.blockBytes);
  for (let r = 16; r < rows; r += 16) gguf.copyWithin(r * rowBytes, 0, Math.min(16, rows - r) * rowBytes);
  const layout = layoutTensor('bench', weightType, rows, columns, 0);
  if (isPlainType(weightType)) return { layout, packed: gguf };
  const packed = new Uint8Array(layout.bytes);
  repackTensor(gguf, layout, packed);
  return { layout, packed };
}

/** Seconds of CPU time that `work` takes. */
function cpuSeconds(work: () => void): number {
  const start = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1e6;
}

for (const shape of args.shapes.split(',')) {
  const [rows, columns] = shape.split('x').map(Number);
  for (const type of types.filter((name) => columns % WEIGHT_TYPES[name].blockWeights === 0)) {
    const module = KernelModule.instantiate(compiled);
    const { layout, packed } = randomMatrix(type, rows, columns);
    const matrix = module.matrix(layout, module.copy(packed));
    const at = module.copy(packed.subarray(0, 0));
    for (const tokens of args.tokens.split(',').map(Number)) {
      const vectors = module.vectors(tokens, columns);
      const out = module.allocate(tokens * rows * 4);
      module.floats(vectors.values, tokens * columns).forEach((_, i, x) => {
        x[i] = Math.sin(i * 12.9898) * 2;
      });
      if (vectors.inputs > 0) module.quantize(vectors, tokens);
      const stream = await bareLoop(module.memory);
      const flops = 2 * rows * columns * tokens;
      const repeats = Math.max(1, Math.round(3e8 / flops));
      let [best, bare] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
      for (let round = 0; round < Number(args.rounds); round++) {
        best = Math.min(
          best,
          cpuSeconds(() => {
            for (let i = 0; i < repeats; i++) module.matmul(matrix, vectors, tokens, out);
          }),
        );
        bare = Math.min(
          bare,
          cpuSeconds(() => {
            for (let i = 0; i < repeats; i++) stream(at - Math.ceil(packed.length / 64) * 64, packed.length);
          }),
        );
      }
      const gigabytes = (packed.length * repeats) / 1e9;
      console.log(
        shape.padEnd(12),
        type.padEnd(8),
        String(tokens).padStart(4),
        ((flops * repeats) / best / 1e9).toFixed(1).padStart(7),
        (gigabytes / best).toFixed(1).padStart(7),
        (gigabytes / bare).toFixed(1).padStart(7),
      );
    }
  }
}
