// output[p, r] = W[r] . x for each assignment p of each group, with x = input[p / K].
// GATED:    output[p, r] = silu(output[p, r]) * (W[r] . x): `up` after `gate`, if their weight types differ.
// WEIGHTED: output[p, r] = routing_weights[p] * (W[r] . x): `down`. It is 0 if the weight is 0, even if W[r] . x is not
// finite.
//
// W [ROWS, BLOCKS * 32], of any weight type: a matrix of the expert in the group's slot;
// input: f32[assignments / K, IN_STRIDE * 4]; output: f32[assignments, OUT_STRIDE]; routing_weights: f32[assignments].
// Variant `workgroup`: the threads of a workgroup share the columns of four rows and reduce in workgroup memory.
// Grid: x = ROWS / 4 workgroups; y = assignments / TILE (1 or 4); z = groups.
override ROWS: u32;
override BLOCKS: u32;
override SLOT_STRIDE: u32;  // in vec4
override P0: u32;           // starts of the planes, in vec4 from the start of the slot
override P1: u32;
override P2: u32;
override P3: u32;
override FIRST_SLOT: u32;
override SLOTS: u32;
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
@group(0) @binding(5) var<storage, read> routing_weights: array<f32>;

fn store_rows(p: u32, row: u32, values: vec4<f32>) {
  for (var i = 0u; i < min(4u, ROWS - row); i++) {
    let at = p * OUT_STRIDE + row + i;
    if (GATED) {
      output[at] = silu(output[at]) * values[i];
    } else if (WEIGHTED) {
      let weight = routing_weights[p];
      output[at] = select(weight * values[i], 0.0, weight == 0.0);
    } else {
      output[at] = values[i];
    }
  }
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let row = group.x * 4u;
  let work = find_work(group.z, group.y);
  if (work.count == 0u || row >= ROWS) {
    return;
  }
  let base = work.slot * SLOT_STRIDE;
  let planes = Planes(base + P0, base + P1, base + P2, base + P3);
  let rows = four_rows(row);
  let x = work.assignments / K * IN_STRIDE;
  if (TILE == 1u) {
    let sums = workgroup_sum(dot_rows(planes, rows, BLOCKS, thread, WORKGROUP, x.x), thread);
    if (thread == 0u) {
      store_rows(work.assignments.x, row, sums);
    }
    return;
  }
  let sums = workgroup_sum_4(dot_rows_4(planes, rows, BLOCKS, thread, WORKGROUP, x), thread);
  if (thread < work.count) {
    store_rows(
      work.assignments[thread], row,
      vec4<f32>(sums.row0[thread], sums.row1[thread], sums.row2[thread], sums.row3[thread]),
    );
  }
}
