// output[t, r] (+)= sum over c of W[r, c] * input[t, c]
//
// Shapes as in matmul_rows.wgsl. A workgroup shares the columns of four rows and adds up in shared memory:
// neighbouring threads read neighbouring runs of weights. Fast where threads run abreast.
// Grid: x, z = rows / 4, folded; y = tokens / TILE (1 or 4).
override ROWS: u32;
override BLOCKS: u32;      // runs of 32 weights in a row
override P1: u32;          // planes, in vec4 from the tensor's start
override P2: u32;
override P3: u32;
override IN_STRIDE: u32;   // vec4
override OUT_STRIDE: u32;  // floats
override TILE: u32;
override ACCUMULATE: bool;
override WORKGROUP: u32;

@group(0) @binding(0) var<storage, read> state: StepState;
@group(0) @binding(1) var<storage, read> weights: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> input: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;

fn store_rows(token: u32, row: u32, values: vec4<f32>) {
  for (var i = 0u; i < min(4u, ROWS - row); i++) {
    let at = token * OUT_STRIDE + row + i;
    if (ACCUMULATE) {
      output[at] += values[i];
    } else {
      output[at] = values[i];
    }
  }
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let row = (group.z * groups.x + group.x) * 4u;
  let first = group.y * TILE;
  let count = state.token_count;
  if (state.stalled != 0u || row >= ROWS || first >= count) {
    return;
  }
  let planes = Planes(0u, P1, P2, P3);
  let rows = four_rows(row);
  if (TILE == 1u) {
    let sums = workgroup_sum(dot_rows(planes, rows, BLOCKS, thread, WORKGROUP, first * IN_STRIDE), thread);
    if (thread == 0u) {
      store_rows(first, row, sums);
    }
    return;
  }
  // Tokens past the end repeat the last one and are not stored.
  let tokens = min(vec4<u32>(first) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(count - 1u));
  let sums = workgroup_sum_4(dot_rows_4(planes, rows, BLOCKS, thread, WORKGROUP, tokens * IN_STRIDE), thread);
  if (thread < min(4u, count - first)) {
    store_rows(first + thread, row, vec4<f32>(sums.row0[thread], sums.row1[thread], sums.row2[thread], sums.row3[thread]));
  }
}
