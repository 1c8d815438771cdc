// Sums over the threads of a workgroup; every thread gets the result. Expects the override WORKGROUP, a power of two,
// and lib/dot_four_rows.wgsl.
var<workgroup> partial_sums: array<vec4<f32>, WORKGROUP>;
var<workgroup> partial_sums_4: array<FourByFour, WORKGROUP>;

fn workgroup_sum(value: vec4<f32>, thread: u32) -> vec4<f32> {
  partial_sums[thread] = value;
  workgroupBarrier();
  for (var half_width = WORKGROUP / 2u; half_width > 0u; half_width /= 2u) {
    if (thread < half_width) {
      partial_sums[thread] += partial_sums[thread + half_width];
    }
    workgroupBarrier();
  }
  let total = partial_sums[0];
  workgroupBarrier(); // all threads must have read this sum before the next one is written
  return total;
}

// 16 sums, each added in the same order as in workgroup_sum().
fn workgroup_sum_4(value: FourByFour, thread: u32) -> FourByFour {
  partial_sums_4[thread] = value;
  workgroupBarrier();
  for (var half_width = WORKGROUP / 2u; half_width > 0u; half_width /= 2u) {
    if (thread < half_width) {
      partial_sums_4[thread].row0 += partial_sums_4[thread + half_width].row0;
      partial_sums_4[thread].row1 += partial_sums_4[thread + half_width].row1;
      partial_sums_4[thread].row2 += partial_sums_4[thread + half_width].row2;
      partial_sums_4[thread].row3 += partial_sums_4[thread + half_width].row3;
    }
    workgroupBarrier();
  }
  let total = partial_sums_4[0];
  workgroupBarrier();
  return total;
}
