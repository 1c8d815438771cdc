// output[t, r] = sum over c of W[r, c] * input[t, c], or += if the shape says so.
//
// W [rows, runs * 32], of any weight type; input: f32[tokens, in_stride * 4]; output: f32[tokens, out_stride]. Shape
// and bindings: lib/matmul_shape.wgsl.
// Variant `rows`: one thread computes 16 rows for TILE (1 or 4) tokens, without barriers. It is fast on adapters that
// run threads as loops.
// Grid: x and z, folded = rows / 16 threads, in workgroups of WORKGROUP; y = tokens / TILE.
const MATRICES = 1u;
override TILE: u32;
override WORKGROUP: u32;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let row = ((shape.first_group + group.z * groups.x + group.x) * WORKGROUP + thread) * ROW_TILE;
  let first = group.y * TILE;
  let count = state.token_count;
  if (state.stalled != 0u || row >= row_count() || first >= count) {
    return;
  }
  let planes = matrix_planes();
  let rows = min(ROW_TILE, row_count() - row);
  if (TILE == 1u) {
    var sums: array<f32, SUMS>;
    dot_rows(planes, row, rows, first * shape.in_stride, &sums, 0u);
    for (var r = 0u; r < rows; r++) {
      store_sum(first, row + r, sums[r]);
    }
    return;
  }
  // Lanes beyond the last token repeat it and are not stored.
  let tokens = min(vec4<u32>(first) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(count - 1u));
  var sums: array<vec4<f32>, SUMS>;
  dot_rows_4(planes, row, rows, tokens * shape.in_stride, &sums, 0u);
  for (var i = 0u; i < min(4u, count - first); i++) {
    for (var r = 0u; r < rows; r++) {
      store_sum(first + i, row + r, sums[r][i]);
    }
  }
}
