// activation[p, r] = silu(gate[r] . x) * (up[r] . x), x = input row p / K, for each assignment p of each group.
//
// As expert_gate_up_rows.wgsl, but a workgroup shares the columns and adds up in shared memory.
// TILE 1: two rows, one assignment. TILE 4: one row, four assignments.
// Grid: x = rows / (TILE 1: 2, TILE 4: 1), y = assignments / TILE, z = groups.
override ROWS: u32;
override BLOCKS: u32;
override SLOT_STRIDE: u32;
override G0: u32;
override G1: u32;
override G2: u32;
override G3: u32;
override U0: u32;
override U1: u32;
override U2: u32;
override U3: u32;
override FIRST_SLOT: u32;
override SLOTS: u32;
override K: u32;
override IN_STRIDE: u32;
override OUT_STRIDE: u32;
override TILE: u32;
override WORKGROUP: u32;

@group(0) @binding(0) var<storage, read> state: StepState;
@group(0) @binding(1) var<storage, read> expert_groups: ExpertGroups;
@group(0) @binding(2) var<storage, read> weights: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> input: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> activations: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let work = find_work(group.z, group.y);
  if (work.count == 0u) {
    return;
  }
  let base = work.slot * SLOT_STRIDE;
  let gate = Planes(base + G0, base + G1, base + G2, base + G3);
  let up = Planes(base + U0, base + U1, base + U2, base + U3);
  if (TILE == 1u) {
    let p = work.assignments.x;
    let x = p / K * IN_STRIDE;
    let row = group.x * 2u;
    // A row past the end repeats the last one and is not stored.
    let next = min(row + 1u, ROWS - 1u);
    let sums = workgroup_sum(
      vec4<f32>(
        dot_row(gate, row * BLOCKS, BLOCKS, thread, WORKGROUP, x),
        dot_row(up, row * BLOCKS, BLOCKS, thread, WORKGROUP, x),
        dot_row(gate, next * BLOCKS, BLOCKS, thread, WORKGROUP, x),
        dot_row(up, next * BLOCKS, BLOCKS, thread, WORKGROUP, x),
      ),
      thread,
    );
    if (thread < 2u && row + thread < ROWS) {
      let g = sums[thread * 2u];
      activations[p * OUT_STRIDE + row + thread] = g / (1.0 + exp(-g)) * sums[thread * 2u + 1u];
    }
    return;
  }
  let row = group.x;
  let x = work.assignments / K * IN_STRIDE;
  let g = workgroup_sum(dot_row_4(gate, row * BLOCKS, BLOCKS, thread, WORKGROUP, x), thread);
  let u = workgroup_sum(dot_row_4(up, row * BLOCKS, BLOCKS, thread, WORKGROUP, x), thread);
  if (thread < work.count) {
    activations[work.assignments[thread] * OUT_STRIDE + row] = g[thread] / (1.0 + exp(-g[thread])) * u[thread];
  }
}
