// output[t, r] = sum over c of W[r, c] * input[t, c]; with ACCUMULATE, the sum is added to output[t, r].
//
// W [ROWS, BLOCKS * 32], of any weight type; input: f32[tokens, IN_STRIDE * 4]; output: f32[tokens, OUT_STRIDE].
// Variant `workgroup`: the threads of a workgroup share the columns of four rows and reduce in workgroup memory.
// Neighboring threads read neighboring runs of weights. It is fast on adapters that run threads in parallel.
// Grid: x and z, folded = ROWS / 4 workgroups; y = tokens / TILE (1 or 4).
override ROWS: u32;
override BLOCKS: u32;      // runs of 32 weights in a row
override P1: u32;          // starts of the planes, in vec4 from the start of the tensor
override P2: u32;
override P3: u32;
override IN_STRIDE: u32;   // in vec4
override OUT_STRIDE: u32;  // in f32
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
  // Lanes beyond the last token repeat it and are not stored.
  let tokens = min(vec4<u32>(first) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(count - 1u));
  let sums = workgroup_sum_4(dot_rows_4(planes, rows, BLOCKS, thread, WORKGROUP, tokens * IN_STRIDE), thread);
  if (thread < min(4u, count - first)) {
    store_rows(
      first + thread, row,
      vec4<f32>(sums.row0[thread], sums.row1[thread], sums.row2[thread], sums.row3[thread]),
    );
  }
}
