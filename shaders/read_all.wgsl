// Reads all of `data` once and keeps nothing: its time gives the read bandwidth of the GPU, and shows whether the GPU
// holds the memory.
//
// data: vec4<u32>[grid * WORKGROUP * 16]; output: u32[1], written only if the sum has one value of four billion.
// Grid: x and z, folded = data.length / (WORKGROUP * 16) workgroups.
const READS = 16u;
override WORKGROUP: u32;

@group(0) @binding(0) var<storage, read> data: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> output: array<u32>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let first = (group.z * groups.x + group.x) * WORKGROUP * READS + thread;
  var sum = vec4<u32>(0u);
  for (var i = 0u; i < READS; i++) {
    sum += data[first + i * WORKGROUP];
  }
  if (sum.x + sum.y + sum.z + sum.w == 0x9e3779b9u) {
    output[0] = first;
  }
}
