// Dot products of four weight rows with one input, and their sums over the threads of a workgroup, for the variant
// `workgroup`. Expects a weight type's lib, lib/input32.wgsl and lib/four_rows.wgsl.
//
// The threads of a workgroup share the columns: a thread takes the runs thread, thread + WORKGROUP, ...
// `rows` holds the first run of each weight row, `x` the first vec4 of the input.
// One and four inputs are added in the same order.
fn dot_rows(p: Planes, rows: vec4<u32>, thread: u32, x: u32) -> vec4<f32> {
  var sum = vec4<f32>();
  for (var i = 0u; i < ITERATIONS; i++) {
    let b = thread + i * WORKGROUP;
    if (b >= BLOCKS) {
      break;
    }
    let v = input32(x + b * 8u);
    let n = rows + vec4<u32>(b);
    sum += vec4<f32>(
      dot_run(run32(p, n.x), v), dot_run(run32(p, n.y), v), dot_run(run32(p, n.z), v), dot_run(run32(p, n.w), v),
    );
  }
  return sum;
}

var<workgroup> partial_sums: array<vec4<f32>, WORKGROUP>;

// Every thread gets the result.
fn workgroup_sum(value: vec4<f32>, thread: u32) -> vec4<f32> {
  partial_sums[thread] = value;
  workgroupBarrier();
  for (var i = 0u; i < SUM_STEPS; i++) {
    let half_width = WORKGROUP >> (i + 1u);
    if (thread < half_width) {
      partial_sums[thread] += partial_sums[thread + half_width];
    }
    workgroupBarrier();
  }
  let total = partial_sums[0];
  workgroupBarrier(); // all threads must have read this sum before the next one is written
  return total;
}
