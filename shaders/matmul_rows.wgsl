// output[t, r] = sum over c of W[r, c] * input[t, c]; with ACCUMULATE, the sum is added to output[t, r].
//
// W [ROWS, BLOCKS * 32], of any weight type; input: f32[tokens, IN_STRIDE * 4]; output: f32[tokens, OUT_STRIDE].
// Variant `rows`: one thread computes 16 rows for TILE (1 or 4) tokens, without barriers. It is fast on adapters that
// run threads as loops.
// Grid: x and z, folded = ROWS / 16 threads, in workgroups of WORKGROUP; y = tokens / TILE.
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
// (first workgroup): where the rows of this call start.
@group(0) @binding(4) var<uniform> rows_from: vec4<u32>;

fn store(token: u32, row: u32, value: f32) {
  let at = token * OUT_STRIDE + row;
  if (ACCUMULATE) {
    output[at] += value;
  } else {
    output[at] = value;
  }
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let row = ((rows_from.x + group.z * groups.x + group.x) * WORKGROUP + thread) * ROW_TILE;
  let first = group.y * TILE;
  let count = state.token_count;
  if (state.stalled != 0u || row >= ROWS || first >= count) {
    return;
  }
  let planes = Planes(0u, P1, P2, P3);
  let rows = min(ROW_TILE, ROWS - row);
  if (TILE == 1u) {
    var sums = dot_rows(planes, row, rows, first * IN_STRIDE);
    for (var r = 0u; r < rows; r++) {
      store(first, row + r, sums[r]);
    }
    return;
  }
  // Lanes beyond the last token repeat it and are not stored.
  let tokens = min(vec4<u32>(first) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(count - 1u));
  var sums = dot_rows_4(planes, row, rows, tokens * IN_STRIDE);
  for (var i = 0u; i < min(4u, count - first); i++) {
    for (var r = 0u; r < rows; r++) {
      store(first + i, row + r, sums[r][i]);
    }
  }
}
