// output[t, c] = input[t, c] * inverseSqrt(mean over c of input[t, c]^2 + EPSILON) * weight[c]
//
// input: f32[tokens, INPUT_STRIDE], its padding beyond WIDTH zero; weight: f32[WIDTH];
// output: f32[tokens, OUTPUT_STRIDE].
// Variant `rows`: every thread sums the whole row, four columns per load, and then scales its share of the columns.
// There is no barrier. The row stays in the cache, so on adapters with slow barriers the repeated reads cost less than
// a reduction.
// Grid: x = workgroups that share the columns of a row; y = tokens.
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
  let scale = norm_scale(dot(squares, vec4<f32>(1.0)) / f32(WIDTH), EPSILON);
  for (var column = id.x; column < WIDTH; column += grid.x * WORKGROUP) {
    let x = input[first + column / 4u][column % 4u];
    output[token * OUTPUT_STRIDE + column] = x * scale * weight[column];
  }
}
