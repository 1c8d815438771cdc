// Sums over a workgroup of WORKGROUP threads (a power of two, an override of the kernel), for every thread.
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
  workgroupBarrier(); // nobody may write the next sum before all have read this one
  return total;
}

// 16 sums, each added in the order of workgroup_sum.
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
