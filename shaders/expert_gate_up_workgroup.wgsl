// output[p, r] = silu(gate[r] . x) * (up[r] . x) for each assignment p of each group, with x = input[p / K].
//
// gate, up [ROWS, BLOCKS * 32], of any weight type: matrices of the expert in the group's slot;
// input: f32[tokens, IN_STRIDE * 4]; output: f32[tokens * K, OUT_STRIDE].
// Variant `workgroup`: the threads of a workgroup share the columns of four rows and reduce in workgroup memory.
// Grid: x = ROWS / 4 workgroups; y = assignments / TILE (1 or 4); z = groups.
override ROWS: u32;
override BLOCKS: u32;
override SLOT_STRIDE: u32;  // in vec4
override G0: u32;           // starts of the planes of gate and up, in vec4 from the start of the slot
override G1: u32;
override G2: u32;
override G3: u32;
override U0: u32;
override U1: u32;
override U2: u32;
override U3: u32;
override FIRST_SLOT: u32;
override SLOTS: u32;
override K: u32;            // assignments per input row
override IN_STRIDE: u32;    // in vec4
override OUT_STRIDE: u32;   // in f32
override TILE: u32;
override WORKGROUP: u32;

@group(0) @binding(0) var<storage, read> state: StepState;
@group(0) @binding(1) var<storage, read> expert_groups: ExpertGroups;
@group(0) @binding(2) var<storage, read> weights: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> input: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;

fn store_rows(p: u32, row: u32, g: vec4<f32>, u: vec4<f32>) {
  for (var i = 0u; i < min(4u, ROWS - row); i++) {
    output[p * OUT_STRIDE + row + i] = silu(g[i]) * u[i];
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
  let gate = Planes(base + G0, base + G1, base + G2, base + G3);
  let up = Planes(base + U0, base + U1, base + U2, base + U3);
  let rows = four_rows(row);
  let x = work.assignments / K * IN_STRIDE;
  if (TILE == 1u) {
    let g = workgroup_sum(dot_rows(gate, rows, BLOCKS, thread, WORKGROUP, x.x), thread);
    let u = workgroup_sum(dot_rows(up, rows, BLOCKS, thread, WORKGROUP, x.x), thread);
    if (thread == 0u) {
      store_rows(work.assignments.x, row, g, u);
    }
    return;
  }
  let g = workgroup_sum_4(dot_rows_4(gate, rows, BLOCKS, thread, WORKGROUP, x), thread);
  let u = workgroup_sum_4(dot_rows_4(up, rows, BLOCKS, thread, WORKGROUP, x), thread);
  if (thread < work.count) {
    let t = thread;
    store_rows(
      work.assignments[t], row,
      vec4<f32>(g.row0[t], g.row1[t], g.row2[t], g.row3[t]), vec4<f32>(u.row0[t], u.row1[t], u.row2[t], u.row3[t]),
    );
  }
}
