// out[t, c] = x[t, c] * inverseSqrt(mean(x[t]^2) + epsilon) * weight[c]
//
// x, out: f32[tokens, STRIDE]; weight: f32[WIDTH]. The tail of each row of x beyond WIDTH is zero.
// Grid: (column slices, tokens). Every thread sums the whole row for itself, four columns a load, and
// scales its own share of the columns: no barrier. The row stays in the cache, so the repeated reads
// cost less than a reduction where barriers are dear; rms_norm_workgroup.wgsl is for where they are not.
override WIDTH: u32;
override INPUT_STRIDE: u32;
override OUTPUT_STRIDE: u32;
override EPSILON: f32;
override WORKGROUP: u32;

@group(0) @binding(0) var<storage, read> state: StepState;
@group(0) @binding(1) var<storage, read> input: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>) {
  let token = id.y;
  if (state.stalled != 0u || token >= state.token_count) {
    return;
  }
  let first = token * (INPUT_STRIDE / 4u);
  var squares = vec4<f32>(0.0);
  for (var i = 0u; i < (WIDTH + 3u) / 4u; i++) {
    let x = input[first + i];
    squares += x * x;
  }
  let scale = inverseSqrt(dot(squares, vec4<f32>(1.0)) / f32(WIDTH) + EPSILON);
  for (var column = id.x; column < WIDTH; column += grid.x * WORKGROUP) {
    let x = input[first + column / 4u][column % 4u];
    output[token * OUTPUT_STRIDE + column] = x * scale * weight[column];
  }
}
