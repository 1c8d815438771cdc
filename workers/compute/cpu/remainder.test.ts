import { expect, it } from 'vitest';
import { dequantize } from '../../format/quantization/dequantize.ts';
import { ggufBytes, repackTensor } from '../../format/quantization/repack.ts';
import { layoutTensor, WEIGHT_TYPES } from '../../format/weight-layout.ts';
import { KernelModule } from './kernels-module.ts';
import { compiledKernels } from './testing.ts';

it('the products with rounded inputs and with the remainders add up to exact products', () => {
  const [rows, columns, tokens] = [8, 256, 3];
  const type = WEIGHT_TYPES.Q8_0;
  const gguf = Uint8Array.from({ length: ggufBytes(type, rows, columns) }, (_, i) => (i * 73 + (i >> 5)) & 0x3f);
  const layout = layoutTensor('m', type, rows, columns, 0);
  const packed = new Uint8Array(layout.bytes);
  repackTensor(gguf, layout, packed);
  const weights = dequantize('Q8_0', gguf);

  const module = KernelModule.instantiate(compiledKernels());
  const matrix = module.matrix(layout, module.copy(packed));
  const x = module.vectors(tokens, columns);
  const inputs = Float32Array.from({ length: tokens * columns }, (_, i) => Math.sin(i * i) * (1 + (i % 7)));
  const [out, correction] = [module.allocate(tokens * rows * 4), module.allocate(tokens * rows * 4)];
  module.floats(x.values, inputs.length).set(inputs);
  module.quantize(x, tokens);
  module.matmul(matrix, x, tokens, out);
  module.toRemainder(x, tokens);
  module.matmul(matrix, x, tokens, correction);

  let [worst, worstRounded] = [0, 0];
  for (let t = 0; t < tokens; t++) {
    for (let r = 0; r < rows; r++) {
      let [exact, size] = [0, 0];
      for (let c = 0; c < columns; c++) {
        const product = weights[r * columns + c] * inputs[t * columns + c];
        exact += product;
        size += Math.abs(product);
      }
      const [first] = module.floats(out + (t * rows + r) * 4, 1);
      const [second] = module.floats(correction + (t * rows + r) * 4, 1);
      worst = Math.max(worst, Math.abs(first + second - exact) / size);
      worstRounded = Math.max(worstRounded, Math.abs(first - exact) / size);
    }
  }
  // What remains is the rounding of f32 sums. Without the remainders the rounding of inputs is a multiple of that.
  expect(worst).toBeLessThan(2e-7);
  expect(worstRounded).toBeGreaterThan(4 * worst);
});
