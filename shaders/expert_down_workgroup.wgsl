// output[p, r] = down[r] . activation[p], for each assignment p of each group.
//
// As expert_down_rows.wgsl, but a workgroup shares the columns and adds up in shared memory.
// TILE 1: four rows, one assignment. TILE 4: one row, four assignments.
// Grid: x = rows / (4 / TILE), y = assignments / TILE, z = groups.
override ROWS: u32;
override BLOCKS: u32;
override SLOT_STRIDE: u32;
override P1: u32;
override P2: u32;
override P3: u32;
override FIRST_SLOT: u32;
override SLOTS: u32;
override IN_STRIDE: u32;
override OUT_STRIDE: u32;
override TILE: u32;
override WORKGROUP: u32;

@group(0) @binding(0) var<storage, read> state: StepState;
@group(0) @binding(1) var<storage, read> expert_groups: ExpertGroups;
@group(0) @binding(2) var<storage, read> weights: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> input: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let work = find_work(group.z, group.y);
  if (work.count == 0u) {
    return;
  }
  let base = work.slot * SLOT_STRIDE;
  let down = Planes(base, base + P1, base + P2, base + P3);
  let first_row = group.x * (4u / TILE);
  var sums: vec4<f32>;
  if (TILE == 1u) {
    let x = work.assignments.x * IN_STRIDE;
    for (var i = 0u; i < 4u; i++) {
      // Rows past the end repeat the last one and are not stored.
      let row = min(first_row + i, ROWS - 1u);
      sums[i] = dot_row(down, row * BLOCKS, BLOCKS, thread, WORKGROUP, x);
    }
  } else {
    sums = dot_row_4(down, first_row * BLOCKS, BLOCKS, thread, WORKGROUP, work.assignments * IN_STRIDE);
  }
  sums = workgroup_sum(sums, thread);
  if (TILE == 1u) {
    if (thread < 4u && first_row + thread < ROWS) {
      output[work.assignments.x * OUT_STRIDE + first_row + thread] = sums[thread];
    }
  } else if (thread < work.count) {
    output[work.assignments[thread] * OUT_STRIDE + first_row] = sums[thread];
  }
}
