// residual[t, c] += sum over k of weights[t, k] * expert_out[t * K + k, c], in order of k. An expert of weight 0 was
// left out: its row is of another token.
//
// residual: f32[tokens, STRIDE], in place; expert_out: f32[tokens * K, EXPERT_STRIDE]; weights: f32[tokens, K].
// Grid: x = columns / 4, y = tokens. Tails are zero in all rows and stay zero.
override WIDTH: u32;
override K: u32;
override STRIDE: u32;
override EXPERT_STRIDE: u32;
override WORKGROUP: u32;

@group(0) @binding(0) var<storage, read> state: StepState;
@group(0) @binding(1) var<storage, read_write> residual: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> expert_out: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> weights: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let token = id.y;
  if (state.stalled != 0u || token >= state.token_count || id.x >= (WIDTH + 3u) / 4u) {
    return;
  }
  let at = token * (STRIDE / 4u) + id.x;
  var sum = residual[at];
  for (var k = 0u; k < K; k++) {
    let row = token * K + k;
    if (weights[row] != 0.0) {
      sum += weights[row] * expert_out[row * (EXPERT_STRIDE / 4u) + id.x];
    }
  }
  residual[at] = sum;
}
