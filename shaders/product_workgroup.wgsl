// Matrix product of one input, variant `workgroup`: the threads of a workgroup share the columns of four rows and reduce
// in workgroup memory. Neighboring threads read neighboring runs of weights.
// Formula, shapes and grid: the product's lib (lib/product_*.wgsl). Groups of rows: 4 rows of each matrix.
@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let row = row_group(group, groups) * 4u;
  let job = find_job(group);
  if (job.count == 0u || row >= row_count()) {
    return;
  }
  let rows = four_rows(row);
  let id = input_id(job, 0u);
  let x = input_start(id);
  var sums: array<vec4<f32>, MATRICES>;
  for (var m = 0u; m < MATRICES; m++) {
    sums[m] = workgroup_sum(dot_rows(planes_of(job, m), rows, thread, x), thread);
  }
  if (thread == 0u) {
    for (var i = 0u; i < 4u; i++) {
      if (row + i < row_count()) {
        store(id, row + i, sums[0][i], sums[MATRICES - 1u][i]);
      }
    }
  }
}
