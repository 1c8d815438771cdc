// What a GPU variant of the matrix product computes, and where the result goes:
// output[t, r] = sum over c of W[r, c] * input[t, c]; with ACCUMULATE, the sum is added to output[t, r].
//
// W [ROWS, BLOCKS * 32], of any weight type; input: f32[tokens, IN_STRIDE * 4]; output: f32[tokens, OUT_STRIDE].
// Grid: x = tiles of INPUTS tokens, so that the workgroups which read the same weights are neighbors; y and z, folded =
// groups of rows.
// Expects the constant INPUTS: tokens per workgroup.
override ROWS: u32;
override BLOCKS: u32;      // runs of 32 weights in a row
override P1: u32;          // starts of the planes, in vec4 from the start of the tensor
override P2: u32;
override P3: u32;
override IN_STRIDE: u32;   // in vec4
override OUT_STRIDE: u32;  // in f32
override ACCUMULATE: bool;

@group(0) @binding(0) var<storage, read> state: StepState;
@group(0) @binding(1) var<storage, read> weights: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> input: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;
// (first group of rows): where the rows of this call start.
@group(0) @binding(4) var<uniform> rows_from: vec4<u32>;

// Matrices that are multiplied with the same inputs.
const MATRICES = 1u;

// The inputs of a workgroup: `count` tokens from `first` on. 0: no work.
struct Job {
  count: u32,
  first: u32,
}

fn find_job(group: vec3<u32>) -> Job {
  let first = group.x * INPUTS;
  if (state.stalled != 0u || first >= state.token_count) {
    return Job();
  }
  return Job(min(INPUTS, state.token_count - first), first);
}

fn row_group(group: vec3<u32>, groups: vec3<u32>) -> u32 {
  return rows_from.x + group.z * groups.y + group.y;
}

fn planes_of(job: Job, matrix: u32) -> Planes {
  return Planes(0u, P1, P2, P3);
}

// The token of the n-th input. Beyond the last one, that one is repeated; its sums are not stored.
fn input_id(job: Job, n: u32) -> u32 {
  return job.first + min(n, job.count - 1u);
}

// The first vec4 of an input.
fn input_start(id: u32) -> u32 {
  return id * IN_STRIDE;
}

fn store(id: u32, row: u32, value: f32, unused: f32) {
  let at = id * OUT_STRIDE + row;
  if (ACCUMULATE) {
    output[at] += value;
  } else {
    output[at] = value;
  }
}
