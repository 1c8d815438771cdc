// Dot products of one weight row with inputs, by one thread. Kernels declare `weights` and
// `input: array<vec4<f32>>`; x indices are in vec4.
fn dot32(w: Block32, x: u32) -> f32 {
  return (dot(w.a, input[x]) + dot(w.b, input[x + 1u]) + dot(w.c, input[x + 2u]) + dot(w.d, input[x + 3u])) +
    (dot(w.e, input[x + 4u]) + dot(w.f, input[x + 5u]) + dot(w.g, input[x + 6u]) + dot(w.h, input[x + 7u]));
}

// One input; blocks first, first + step, ... below `blocks` of the row that begins at block `row`.
fn dot_row(p: Planes, row: u32, blocks: u32, first: u32, step: u32, x: u32) -> f32 {
  var sum = 0.0;
  for (var b = first; b < blocks; b += step) {
    sum += dot32(block32(p, row + b), x + b * 8u);
  }
  return sum;
}

// Four inputs: the block is dequantized once.
fn dot_row_4(p: Planes, row: u32, blocks: u32, first: u32, step: u32, x: vec4<u32>) -> vec4<f32> {
  var sum = vec4<f32>();
  for (var b = first; b < blocks; b += step) {
    let w = block32(p, row + b);
    let at = x + vec4<u32>(b * 8u);
    sum += vec4<f32>(dot32(w, at.x), dot32(w, at.y), dot32(w, at.z), dot32(w, at.w));
  }
  return sum;
}
