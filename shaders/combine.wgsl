// sums[t] += rows[t * K] + rows[t * K + 1] + ... + rows[t * K + K - 1], added in this order. Then the rows are zeroed,
// so that a row that is not computed before the next call adds nothing.
//
// sums: f32[tokens, STRIDE], read and written; rows: f32[tokens * K, STRIDE], read and zeroed. The padding of each row
// beyond WIDTH is zero and stays zero. K is a uniform, so that all calls share one pipeline.
// Grid: x = WIDTH / 4 columns, in workgroups of WORKGROUP; y = tokens.
override WIDTH: u32;
override STRIDE: u32;
override WORKGROUP: u32;

@group(0) @binding(0) var<storage, read> state: StepState;
@group(0) @binding(1) var<storage, read_write> sums: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> rows: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> count: vec4<u32>;  // (K, 0, 0, 0)

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let token = id.y;
  if (state.stalled != 0u || token >= state.token_count || id.x >= (WIDTH + 3u) / 4u) {
    return;
  }
  var sum = vec4<f32>();
  for (var k = 0u; k < count.x; k++) {
    let row = (token * count.x + k) * (STRIDE / 4u) + id.x;
    sum += rows[row];
    rows[row] = vec4<f32>();
  }
  sums[token * (STRIDE / 4u) + id.x] += sum;
}
