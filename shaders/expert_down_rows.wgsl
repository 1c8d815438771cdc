// output[p, r] = down[r] . activation[p], for each assignment p of each group.
//
// Down [ROWS, BLOCKS * 32] of the expert in the group's slot. A thread computes one row for TILE assignments.
// Grid: x = rows / WORKGROUP, y = assignments / TILE, z = groups.
override ROWS: u32;
override BLOCKS: u32;
override SLOT_STRIDE: u32;  // vec4
override P1: u32;           // planes, in vec4 from the slot's start
override P2: u32;
override P3: u32;
override FIRST_SLOT: u32;
override SLOTS: u32;
override IN_STRIDE: u32;    // vec4
override OUT_STRIDE: u32;   // floats
override TILE: u32;
override WORKGROUP: u32;

@group(0) @binding(0) var<storage, read> state: StepState;
@group(0) @binding(1) var<storage, read> expert_groups: ExpertGroups;
@group(0) @binding(2) var<storage, read> weights: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> input: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let row = id.x;
  let work = find_work(id.z, id.y);
  if (work.count == 0u || row >= ROWS) {
    return;
  }
  let base = work.slot * SLOT_STRIDE;
  let down = Planes(base, base + P1, base + P2, base + P3);
  if (TILE == 1u) {
    let p = work.assignments.x;
    output[p * OUT_STRIDE + row] = dot_row(down, row * BLOCKS, BLOCKS, 0u, 1u, p * IN_STRIDE);
    return;
  }
  let sums = dot_row_4(down, row * BLOCKS, BLOCKS, 0u, 1u, work.assignments * IN_STRIDE);
  for (var i = 0u; i < work.count; i++) {
    output[work.assignments[i] * OUT_STRIDE + row] = sums[i];
  }
}
