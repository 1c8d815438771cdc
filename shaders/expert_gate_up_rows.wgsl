// activation[p, r] = silu(gate[r] . x) * (up[r] . x), x = input row p / K, for each assignment p of each group.
//
// Gate and up [ROWS, BLOCKS * 32] of the expert in the group's slot; silu(v) = v / (1 + exp(-v)).
// A thread computes one row for TILE assignments. Grid: x = rows / WORKGROUP, y = assignments / TILE, z = groups.
override ROWS: u32;
override BLOCKS: u32;
override SLOT_STRIDE: u32;  // vec4
override G0: u32;           // planes of gate and up, in vec4 from the slot's start
override G1: u32;
override G2: u32;
override G3: u32;
override U0: u32;
override U1: u32;
override U2: u32;
override U3: u32;
override FIRST_SLOT: u32;
override SLOTS: u32;
override K: u32;            // experts per token
override IN_STRIDE: u32;    // vec4
override OUT_STRIDE: u32;   // floats
override TILE: u32;
override WORKGROUP: u32;

@group(0) @binding(0) var<storage, read> state: StepState;
@group(0) @binding(1) var<storage, read> expert_groups: ExpertGroups;
@group(0) @binding(2) var<storage, read> weights: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> input: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> activations: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let row = id.x;
  let work = find_work(id.z, id.y);
  if (work.count == 0u || row >= ROWS) {
    return;
  }
  let base = work.slot * SLOT_STRIDE;
  let gate = Planes(base + G0, base + G1, base + G2, base + G3);
  let up = Planes(base + U0, base + U1, base + U2, base + U3);
  if (TILE == 1u) {
    let p = work.assignments.x;
    let x = p / K * IN_STRIDE;
    let g = dot_row(gate, row * BLOCKS, BLOCKS, 0u, 1u, x);
    let u = dot_row(up, row * BLOCKS, BLOCKS, 0u, 1u, x);
    activations[p * OUT_STRIDE + row] = g / (1.0 + exp(-g)) * u;
    return;
  }
  let x = work.assignments / K * IN_STRIDE;
  let g = dot_row_4(gate, row * BLOCKS, BLOCKS, 0u, 1u, x);
  let u = dot_row_4(up, row * BLOCKS, BLOCKS, 0u, 1u, x);
  let activation = g / (1.0 + exp(-g)) * u;
  for (var i = 0u; i < work.count; i++) {
    activations[work.assignments[i] * OUT_STRIDE + row] = activation[i];
  }
}
