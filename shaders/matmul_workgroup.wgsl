// output[t, r] (+)= sum over c of W[r, c] * input[t, c]
//
// Shapes as in matmul_rows.wgsl. A workgroup shares the columns of its rows and adds up in shared memory:
// neighbouring threads read neighbouring blocks. Fast where threads run abreast.
// TILE 1: four rows, one token. TILE 4: one row, four tokens. Grid: x = rows / (4 / TILE), y = tokens / TILE.
override ROWS: u32;
override BLOCKS: u32;
override P1: u32;
override P2: u32;
override P3: u32;
override IN_STRIDE: u32;
override OUT_STRIDE: u32;
override TILE: u32;
override ACCUMULATE: bool;
override WORKGROUP: u32;

@group(0) @binding(0) var<storage, read> state: StepState;
@group(0) @binding(1) var<storage, read> weights: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> input: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let first = group.y * TILE;
  let count = state.token_count;
  if (state.stalled != 0u || first >= count) {
    return;
  }
  let planes = Planes(0u, P1, P2, P3);
  let first_row = group.x * (4u / TILE);
  var sums: vec4<f32>;
  if (TILE == 1u) {
    let x = first * IN_STRIDE;
    for (var i = 0u; i < 4u; i++) {
      // Rows past the end repeat the last one and are not stored.
      let row = min(first_row + i, ROWS - 1u);
      sums[i] = dot_row(planes, row * BLOCKS, BLOCKS, thread, WORKGROUP, x);
    }
  } else {
    let tokens = min(vec4<u32>(first) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(count - 1u));
    sums = dot_row_4(planes, first_row * BLOCKS, BLOCKS, thread, WORKGROUP, tokens * IN_STRIDE);
  }
  sums = workgroup_sum(sums, thread);
  if (thread < 4u) {
    let row = select(first_row, first_row + thread, TILE == 1u);
    let token = select(first + thread, first, TILE == 1u);
    if (row < ROWS && token < count) {
      let at = token * OUT_STRIDE + row;
      output[at] = sums[thread] + select(0.0, output[at], ACCUMULATE);
    }
  }
}
