// The work of one workgroup of a GPU variant of an expert kernel. Expects lib/groups.wgsl, the bindings `state` and
// `expert_groups`, the overrides SLOT_STRIDE, K and IN_STRIDE, and the constant INPUTS: assignments per workgroup.
// Grid: x = tiles of INPUTS assignments, so that the workgroups which read the same weights are neighbors; y = groups of
// rows; z = groups of the work list.

// (first slot, slots, first group of rows): the part of the slots that is bound, and where the rows of this call start.
@group(0) @binding(5) var<uniform> bank: vec4<u32>;

// The inputs of a workgroup: `count` assignments from `first` on in the list. 0: no work.
struct Job {
  count: u32,
  first: u32,
  base: u32,  // where the expert's slot starts, in vec4
}

fn find_job(group: vec3<u32>) -> Job {
  let header = expert_groups.groups[group.z];
  let first = group.x * INPUTS;
  // For slots before the bank the difference wraps around to a large number. NO_SLOT stays beyond the bank as well.
  let slot = header.x - bank.x;
  if (state.stalled != 0u || slot >= bank.y || first >= header.z) {
    return Job();
  }
  return Job(min(INPUTS, header.z - first), header.y + first, slot * SLOT_STRIDE);
}

fn row_group(group: vec3<u32>, groups: vec3<u32>) -> u32 {
  return bank.z + group.y;
}

// The n-th assignment. Beyond the last one, that one is repeated; its sums are not stored.
fn input_id(job: Job, n: u32) -> u32 {
  return expert_groups.assignments[job.first + min(n, job.count - 1u)];
}

// The first vec4 of an assignment's input.
fn input_start(id: u32) -> u32 {
  return id / K * IN_STRIDE;
}

fn silu(v: f32) -> f32 {
  return v / (1.0 + exp(-v));
}
