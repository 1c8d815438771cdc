// output[p, r] = W[r] . x for each assignment p of each group, with x = input[p / k].
// GATED:    output[p, r] = silu(output[p, r]) * (W[r] . x): `up` after `gate`, if their weight types differ.
// WEIGHTED: output[p, r] = routing_weights[p] * (W[r] . x): `down`. It is 0 if the weight is 0, even if W[r] . x is not
// finite.
//
// W [rows, runs * 32], of any weight type: a matrix of the expert in the group's slot;
// input: f32[assignments / k, in_stride * 4]; output: f32[assignments, out_stride]; routing_weights: f32[assignments].
// Shape: lib/expert_assignments.wgsl.
// Variant `rows`: one thread computes 16 rows for TILE (1 or 4) assignments, without barriers.
// Grid: x = rows / 16 threads, in workgroups of WORKGROUP; y = assignments / TILE; z = groups.
const MATRICES = 1u;
override TILE: u32;
override GATED: bool;
override WEIGHTED: bool;
override WORKGROUP: u32;

@group(0) @binding(0) var<storage, read> state: StepState;
@group(0) @binding(1) var<storage, read> expert_groups: ExpertGroups;
@group(0) @binding(2) var<storage, read> weights: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> input: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;
@group(0) @binding(6) var<storage, read> routing_weights: array<f32>;

fn store(p: u32, row: u32, value: f32) {
  let at = p * shape.out_stride + row;
  if (GATED) {
    output[at] = silu(output[at]) * value;
  } else if (WEIGHTED) {
    let weight = routing_weights[p];
    output[at] = select(weight * value, 0.0, weight == 0.0);
  } else {
    output[at] = value;
  }
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let row = ((shape.first_group + group.x) * WORKGROUP + thread) * ROW_TILE;
  let work = find_work(group.z, group.y);
  if (work.count == 0u || row >= shape.rows) {
    return;
  }
  let base = work.slot * shape.slot_stride;
  let planes = planes_at(base, shape.planes);
  let rows = min(ROW_TILE, shape.rows - row);
  let x = work.assignments / shape.k * shape.in_stride;
  if (TILE == 1u) {
    var sums: array<f32, SUMS>;
    dot_rows(planes, row, rows, x.x, &sums, 0u);
    for (var r = 0u; r < rows; r++) {
      store(work.assignments.x, row + r, sums[r]);
    }
    return;
  }
  var sums: array<vec4<f32>, SUMS>;
  dot_rows_4(planes, row, rows, x, &sums, 0u);
  for (var i = 0u; i < work.count; i++) {
    for (var r = 0u; r < rows; r++) {
      store(work.assignments[i], row + r, sums[r][i]);
    }
  }
}
