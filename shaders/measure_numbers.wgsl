// How this GPU rounds, and what it does with numbers too small for 23 bits of fraction: WGSL leaves both to it. mixtab's
// kernels depend on neither, but exp has to be right.
//
// input: u32[8 + COUNT], bits of f32: three numbers to round, unused, a subnormal number, 1, a number whose square is
// subnormal, bits of two f16; then arguments of exp.
// output: u32[8 + COUNT]: the three rounded to f16, unused, the subnormal number times 1, the square, the first f16, unused;
// then the bits of exp.
// Grid: (1, 1, 1).
override COUNT: u32;

@group(0) @binding(0) var<storage, read> input: array<u32>;
@group(0) @binding(1) var<storage, read_write> output: array<u32>;

fn number(n: u32) -> f32 {
  return bitcast<f32>(input[n]);
}

@compute @workgroup_size(1)
fn main() {
  for (var n = 0u; n < 3u; n++) {
    output[n] = pack2x16float(vec2<f32>(number(n), 0.0));
  }
  output[4] = bitcast<u32>(number(4u) * number(5u));
  output[5] = bitcast<u32>(number(6u) * number(6u));
  output[6] = bitcast<u32>(unpack2x16float(input[7]).x);
  for (var n = 0u; n < COUNT; n++) {
    output[8u + n] = bitcast<u32>(exp(number(8u + n)));
  }
}
