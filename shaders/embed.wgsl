// output[t] = row tokens[t] of the embedding matrix, dequantized, if that row is in the part W of the matrix.
//
// W [rows, runs * 32], of any weight type: rows first_row .. first_row + rows - 1 of the whole matrix
// [vocabulary, runs * 32];
// tokens: u32[tokens]; output: f32[tokens, out_stride * 4].
// Grid: x = runs of 32 columns, in workgroups of WORKGROUP; y = tokens.
override WORKGROUP: u32;

// As overrides, each shape would need a pipeline of its own.
struct EmbedShape {
  rows: u32,
  first_row: u32,
  vocabulary: u32,
  runs: u32,
  p1: u32,  // starts of the planes, in vec4 from the start of W
  p2: u32,
  p3: u32,
  out_stride: u32,  // in vec4
}

@group(0) @binding(0) var<storage, read> state: StepState;
@group(0) @binding(1) var<storage, read> weights: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> tokens: array<u32>;
@group(0) @binding(3) var<storage, read_write> output: array<vec4<f32>>;
@group(0) @binding(4) var<uniform> shape: EmbedShape;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let b = id.x;
  let token = id.y;
  if (state.stalled != 0u || token >= state.token_count || b >= shape.runs) {
    return;
  }
  // For rows before first_row the difference wraps around to a large number.
  let row = min(tokens[token], shape.vocabulary - 1u) - shape.first_row;
  if (row >= shape.rows) {
    return;
  }
  let w = block32(Planes(0u, shape.p1, shape.p2, shape.p3), row * shape.runs + b);
  let at = token * shape.out_stride + b * 8u;
  // The padding of the weights is zero, so the padding of the output row becomes zero too.
  output[at] = w.a;
  output[at + 1u] = w.b;
  output[at + 2u] = w.c;
  output[at + 3u] = w.d;
  output[at + 4u] = w.e;
  output[at + 5u] = w.f;
  output[at + 6u] = w.g;
  output[at + 7u] = w.h;
}
