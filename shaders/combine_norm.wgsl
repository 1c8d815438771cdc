// sums[t] += rows[t * K] + rows[t * K + 1] + ... + rows[t * K + K - 1], added in this order, and the rows are zeroed, as
// in combine.wgsl. Then output[t, c] = sums[t, c] * inverseSqrt(mean over c of sums[t, c]^2 + EPSILON) * weight[c]: the
// norm with which the next layer begins.
//
// sums: f32[tokens, STRIDE], read and written; rows: f32[tokens * K, STRIDE], read and zeroed; weight: f32[WIDTH];
// output: f32[tokens, STRIDE]. The padding of each row beyond WIDTH is zero and stays zero.
// One workgroup computes a token. A thread norms the columns that it has summed, so these need no barrier.
// Grid: x = 1; y = tokens.
override WIDTH: u32;
override STRIDE: u32;
override K: u32;
override EPSILON: f32;
override WORKGROUP: u32;  // a power of two
override VECS: u32 = (WIDTH + 3u) / 4u;
override VEC_ROUNDS: u32 = (VECS + WORKGROUP - 1u) / WORKGROUP;

@group(0) @binding(0) var<storage, read> state: StepState;
@group(0) @binding(1) var<storage, read_write> sums: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> rows: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> weight: array<f32>;
@group(0) @binding(4) var<storage, read_write> output: array<vec4<f32>>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let token = group.y;
  if (state.stalled != 0u || token >= state.token_count) {
    return;
  }
  let first = token * (STRIDE / 4u);
  var squares = vec4<f32>(0.0);
  for (var i = 0u; i < VEC_ROUNDS; i++) {
    let vec = i * WORKGROUP + thread;
    if (vec < VECS) {
      var sum = vec4<f32>();
      for (var k = 0u; k < K; k++) {
        let row = (token * K + k) * (STRIDE / 4u) + vec;
        sum += rows[row];
        rows[row] = vec4<f32>();
      }
      let x = sums[first + vec] + sum;
      sums[first + vec] = x;
      squares += x * x;
    }
  }
  let scale = norm_scale(workgroup_total(dot(squares, vec4<f32>(1.0)), thread) / f32(WIDTH), EPSILON);
  for (var i = 0u; i < VEC_ROUNDS; i++) {
    let vec = i * WORKGROUP + thread;
    if (vec < VECS) {
      output[first + vec] = sums[first + vec] * scale * norm_weights(vec);
    }
  }
}
