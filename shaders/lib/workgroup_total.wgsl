// The sum of a value over the threads of a workgroup; every thread gets it. Expects the override WORKGROUP, a power of
// two.
var<workgroup> totals: array<f32, WORKGROUP>;

fn workgroup_total(value: f32, thread: u32) -> f32 {
  totals[thread] = value;
  workgroupBarrier();
  // A loop with a constant bound: WGSL compilers add a counter to loops that they cannot prove finite.
  for (var step = 1u; step < 32u; step++) {
    let half = WORKGROUP >> step;
    if (half == 0u) {
      break;
    }
    if (thread < half) {
      totals[thread] += totals[thread + half];
    }
    workgroupBarrier();
  }
  let total = totals[0];
  workgroupBarrier();  // all threads must have read the total before the next one is written
  return total;
}
