// Matrix product of four inputs, variant `workgroup`: the threads of a workgroup share the columns of four rows and
// reduce in workgroup memory. Neighboring threads read neighboring runs of weights.
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
  let x = vec4<u32>(
    input_start(input_id(job, 0u)), input_start(input_id(job, 1u)),
    input_start(input_id(job, 2u)), input_start(input_id(job, 3u)),
  );
  var sums: array<FourByFour, MATRICES>;
  for (var m = 0u; m < MATRICES; m++) {
    sums[m] = workgroup_sum(dot_rows(planes_of(job, m), rows, thread, x), thread);
  }
  if (thread < job.count) {
    let id = input_id(job, thread);
    for (var i = 0u; i < 4u; i++) {
      if (row + i < row_count()) {
        store(id, row + i, sums[0].rows[i][thread], sums[MATRICES - 1u].rows[i][thread]);
      }
    }
  }
}
