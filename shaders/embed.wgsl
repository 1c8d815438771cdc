// output[t] = row tokens[t] of the embedding matrix, dequantized, if that row is in the part W of the matrix.
//
// W [ROWS, BLOCKS * 32], of any weight type: rows FIRST_ROW .. FIRST_ROW + ROWS - 1 of the whole matrix
// [VOCABULARY, BLOCKS * 32];
// tokens: u32[tokens]; output: f32[tokens, OUT_STRIDE * 4].
// Grid: x = BLOCKS runs of 32 columns, in workgroups of WORKGROUP; y = tokens.
override ROWS: u32;
override FIRST_ROW: u32;
override VOCABULARY: u32;
override BLOCKS: u32;
override P1: u32;
override P2: u32;
override P3: u32;
override OUT_STRIDE: u32;  // in vec4
override WORKGROUP: u32;

@group(0) @binding(0) var<storage, read> state: StepState;
@group(0) @binding(1) var<storage, read> weights: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> tokens: array<u32>;
@group(0) @binding(3) var<storage, read_write> output: array<vec4<f32>>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let b = id.x;
  let token = id.y;
  if (state.stalled != 0u || token >= state.token_count || b >= BLOCKS) {
    return;
  }
  // For rows before FIRST_ROW the difference wraps around to a large number.
  let row = min(tokens[token], VOCABULARY - 1u) - FIRST_ROW;
  if (row >= ROWS) {
    return;
  }
  let w = block32(Planes(0u, P1, P2, P3), row * BLOCKS + b);
  let at = token * OUT_STRIDE + b * 8u;
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
