// What a GPU variant of the experts' gate and up computes, and where the result goes:
// output[p, r] = silu(gate[r] . x) * (up[r] . x) for each assignment p of each group, with x = input[p / K].
//
// gate, up [ROWS, BLOCKS * 32], of any weight type: matrices of the expert in the group's slot;
// input: f32[tokens, IN_STRIDE * 4]; output: f32[tokens * K, OUT_STRIDE].
// Expects lib/expert_job.wgsl, which has the grid.
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
override K: u32;            // assignments per input row
override IN_STRIDE: u32;    // in vec4
override OUT_STRIDE: u32;   // in f32

@group(0) @binding(0) var<storage, read> state: StepState;
@group(0) @binding(1) var<storage, read> expert_groups: ExpertGroups;
@group(0) @binding(2) var<storage, read> weights: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> input: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;

fn row_count() -> u32 {
  return ROWS;
}

// Matrices that are multiplied with the same inputs: gate, then up.
const MATRICES = 2u;

fn planes_of(job: Job, matrix: u32) -> Planes {
  let base = job.base;
  if (matrix == 0u) {
    return Planes(base + G0, base + G1, base + G2, base + G3);
  }
  return Planes(base + U0, base + U1, base + U2, base + U3);
}

fn store(id: u32, row: u32, gate: f32, up: f32) {
  output[id * OUT_STRIDE + row] = silu(gate) * up;
}
