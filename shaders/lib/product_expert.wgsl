// What a GPU variant of the experts' matrix product computes, and where the result goes:
// output[p, r] = W[r] . x for each assignment p of each group, with x = input[p / K].
// GATED:    output[p, r] = silu(output[p, r]) * (W[r] . x): `up` after `gate`, if their weight types differ.
// WEIGHTED: output[p, r] = routing_weights[p] * (W[r] . x): `down`. It is 0 if the weight is 0, even if W[r] . x is not
// finite.
//
// W [ROWS, BLOCKS * 32], of any weight type: a matrix of the expert in the group's slot;
// input: f32[assignments / K, IN_STRIDE * 4]; output: f32[assignments, OUT_STRIDE]; routing_weights: f32[assignments].
// Expects lib/expert_job.wgsl, which has the grid.
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
override GATED: bool;
override WEIGHTED: bool;

@group(0) @binding(0) var<storage, read> state: StepState;
@group(0) @binding(1) var<storage, read> expert_groups: ExpertGroups;
@group(0) @binding(2) var<storage, read> weights: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> input: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;
@group(0) @binding(6) var<storage, read> routing_weights: array<f32>;

fn row_count() -> u32 {
  return ROWS;
}

// Matrices that are multiplied with the same inputs.
const MATRICES = 1u;

fn planes_of(job: Job, matrix: u32) -> Planes {
  return Planes(job.base + P0, job.base + P1, job.base + P2, job.base + P3);
}

fn store(id: u32, row: u32, value: f32, unused: f32) {
  let at = id * OUT_STRIDE + row;
  if (GATED) {
    output[at] = silu(output[at]) * value;
  } else if (WEIGHTED) {
    let weight = routing_weights[id];
    output[at] = select(weight * value, 0.0, weight == 0.0);
  } else {
    output[at] = value;
  }
}
