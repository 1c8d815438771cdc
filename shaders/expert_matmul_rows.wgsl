// output[p, r] = W[r] . x for each assignment p of each group, with x = input[p / K].
// GATED:    output[p, r] = silu(output[p, r]) * (W[r] . x): `up` after `gate`, if their weight types differ.
// WEIGHTED: output[p, r] = routing_weights[p] * (W[r] . x): `down`. It is 0 if the weight is 0, even if W[r] . x is not
// finite.
//
// W [ROWS, BLOCKS * 32], of any weight type: a matrix of the expert in the group's slot;
// input: f32[assignments / K, IN_STRIDE * 4]; output: f32[assignments, OUT_STRIDE]; routing_weights: f32[assignments].
// Variant `rows`: one thread computes 16 rows for TILE (1 or 4) assignments, without barriers.
// Grid: x = ROWS / 16 threads, in workgroups of WORKGROUP; y = assignments / TILE; z = groups.
const MATRICES = 1u;
override ROWS: u32;
override BLOCKS: u32;
override SLOT_STRIDE: u32;  // in vec4
override P0: u32;           // starts of the planes, in vec4 from the start of the slot
override P1: u32;
override P2: u32;
override P3: u32;
override K: u32;            // assignments per input row
override IN_STRIDE: u32;    // in vec4
override OUT_STRIDE: u32;   // in f32
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
  let at = p * OUT_STRIDE + row;
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
  let row = ((bank.z + group.x) * WORKGROUP + thread) * ROW_TILE;
  let work = find_work(group.z, group.y);
  if (work.count == 0u || row >= ROWS) {
    return;
  }
  let base = work.slot * SLOT_STRIDE;
  let planes = Planes(base + P0, base + P1, base + P2, base + P3);
  let rows = min(ROW_TILE, ROWS - row);
  let x = work.assignments / K * IN_STRIDE;
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
