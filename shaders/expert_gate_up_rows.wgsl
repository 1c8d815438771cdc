// output[p, r] = silu(gate[r] . x) * (up[r] . x) for each assignment p of each group, with x = input[p / k].
//
// gate, up [rows, runs * 32], of any weight type: matrices of the expert in the group's slot;
// input: f32[tokens, in_stride * 4]; output: f32[tokens * k, out_stride]. Shape: lib/expert_assignments.wgsl.
// Variant `rows`: one thread computes 16 rows for TILE (1 or 4) assignments, without barriers.
// Grid: x = rows / 16 threads, in workgroups of WORKGROUP; y = assignments / TILE; z = groups.
const MATRICES = 2u;  // gate, then up
override TILE: u32;
override WORKGROUP: u32;

@group(0) @binding(0) var<storage, read> state: StepState;
@group(0) @binding(1) var<storage, read> expert_groups: ExpertGroups;
@group(0) @binding(2) var<storage, read> weights: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> input: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;

// The matrices are a loop instead of two calls, which compilers inline: it compiles in half the time.
fn planes_of(base: u32, matrix: u32) -> Planes {
  if (matrix == 0u) {
    return planes_at(base, shape.planes);
  }
  return planes_at(base, shape.up_planes);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let row = ((shape.first_group + group.x) * WORKGROUP + thread) * ROW_TILE;
  let work = find_work(group.z, group.y);
  if (work.count == 0u || row >= shape.rows) {
    return;
  }
  let base = work.slot * shape.slot_stride;
  let rows = min(ROW_TILE, shape.rows - row);
  let x = work.assignments / shape.k * shape.in_stride;
  if (TILE == 1u) {
    var sums: array<f32, SUMS>;
    for (var m = 0u; m < MATRICES; m++) {
      dot_rows(planes_of(base, m), row, rows, x.x, &sums, m * ROW_TILE);
    }
    for (var r = 0u; r < rows; r++) {
      output[work.assignments.x * shape.out_stride + row + r] = silu(sums[r]) * sums[ROW_TILE + r];
    }
    return;
  }
  var sums: array<vec4<f32>, SUMS>;
  for (var m = 0u; m < MATRICES; m++) {
    dot_rows_4(planes_of(base, m), row, rows, x, &sums, m * ROW_TILE);
  }
  for (var i = 0u; i < work.count; i++) {
    for (var r = 0u; r < rows; r++) {
      output[work.assignments[i] * shape.out_stride + row + r] = silu(sums[r][i]) * sums[ROW_TILE + r][i];
    }
  }
}
