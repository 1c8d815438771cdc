// What a GPU variant of the matrix product computes, and where the result goes:
// output[t, r] = sum over c of W[r, c] * input[t, c], or += if the shape says so.
//
// W [rows, BLOCKS * 32], of any weight type; input: f32[tokens, in_stride * 4]; output: f32[tokens, out_stride]. Shape
// and bindings: lib/matmul_shape.wgsl.
// Grid: x = tiles of INPUTS tokens, so that the workgroups which read the same weights are neighbors; y and z, folded =
// groups of rows.
// Expects the constant INPUTS: tokens per workgroup.
override BLOCKS: u32;  // runs of 32 weights in a row

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
  return shape.first_group + group.z * groups.y + group.y;
}

fn planes_of(job: Job, matrix: u32) -> Planes {
  return matrix_planes();
}

// The token of the n-th input. Beyond the last one, that one is repeated; its sums are not stored.
fn input_id(job: Job, n: u32) -> u32 {
  return job.first + min(n, job.count - 1u);
}

// The first vec4 of an input.
fn input_start(id: u32) -> u32 {
  return id * shape.in_stride;
}

fn store(id: u32, row: u32, value: f32, unused: f32) {
  store_sum(id, row, value);
}
