// output[t] = row tokens[t] of the vocabulary's matrix, dequantized, where that row is one of W's.
//
// W: rows FIRST_ROW .. FIRST_ROW + ROWS - 1 of it; W [ROWS, BLOCKS * 32] of any type, output [tokens, OUT_STRIDE * 4].
// Grid: x = BLOCKS / WORKGROUP, y = tokens.
override ROWS: u32;
override FIRST_ROW: u32;
override VOCABULARY: u32;
override BLOCKS: u32;
override P1: u32;
override P2: u32;
override P3: u32;
override OUT_STRIDE: u32;  // vec4
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
  // Rows before FIRST_ROW wrap around to large numbers.
  let row = min(tokens[token], VOCABULARY - 1u) - FIRST_ROW;
  if (row >= ROWS) {
    return;
  }
  let w = block32(Planes(0u, P1, P2, P3), row * BLOCKS + b);
  let at = token * OUT_STRIDE + b * 8u;
  // Padding of the weights is zero, and so is what is written to the tail of the row.
  output[at] = w.a;
  output[at + 1u] = w.b;
  output[at + 2u] = w.c;
  output[at + 3u] = w.d;
  output[at + 4u] = w.e;
  output[at + 5u] = w.f;
  output[at + 6u] = w.g;
  output[at + 7u] = w.h;
}
