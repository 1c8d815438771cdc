// output[t, c] = input[t, c] * inverseSqrt(mean over c of input[t, c]^2 + EPSILON) * weight[c]
//
// input: f32[tokens, INPUT_STRIDE], its padding beyond WIDTH zero; weight: f32[WIDTH];
// output: f32[tokens, OUTPUT_STRIDE].
// Variant `workgroup`: one workgroup computes a row and sums the squares in workgroup memory.
// Grid: x = 1; y = tokens.
override WIDTH: u32;
override INPUT_STRIDE: u32;
override OUTPUT_STRIDE: u32;
override EPSILON: f32;
override WORKGROUP: u32;  // a power of two
override VECS: u32 = (WIDTH + 3u) / 4u;
override VEC_ROUNDS: u32 = (VECS + WORKGROUP - 1u) / WORKGROUP;
override COLUMN_ROUNDS: u32 = (WIDTH + WORKGROUP - 1u) / WORKGROUP;

@group(0) @binding(0) var<storage, read> state: StepState;
@group(0) @binding(1) var<storage, read> input: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let token = group.y;
  if (state.stalled != 0u || token >= state.token_count) {
    return;
  }
  let first = token * (INPUT_STRIDE / 4u);
  var squares = vec4<f32>(0.0);
  for (var i = 0u; i < VEC_ROUNDS; i++) {
    let vec = i * WORKGROUP + thread;
    if (vec < VECS) {
      let x = input[first + vec];
      squares += x * x;
    }
  }
  let scale = norm_scale(workgroup_total(dot(squares, vec4<f32>(1.0)), thread) / f32(WIDTH), EPSILON);
  for (var i = 0u; i < COLUMN_ROUNDS; i++) {
    let column = i * WORKGROUP + thread;
    if (column < WIDTH) {
      let x = input[first + column / 4u][column % 4u];
      output[token * OUTPUT_STRIDE + column] = x * scale * weight[column];
    }
  }
}
