// Dot products of four weight rows with four inputs, and their sums over the threads of a workgroup, for the variant
// `workgroup`. Expects a weight type's lib, lib/input32.wgsl and lib/four_rows.wgsl.
//
// The threads of a workgroup share the columns: a thread takes the runs thread, thread + WORKGROUP, ...
// `rows` holds the first run of each weight row, `x` the first vec4 of each input.
// One and four inputs are added in the same order.

// Component t of each row is the sum for input t.
struct FourByFour {
  rows: array<vec4<f32>, 4>,
}

fn dot_rows(p: Planes, rows: vec4<u32>, thread: u32, x: vec4<u32>) -> FourByFour {
  var sum = FourByFour();
  for (var i = 0u; i < ITERATIONS; i++) {
    let b = thread + i * WORKGROUP;
    if (b >= BLOCKS) {
      break;
    }
    let at = x + vec4<u32>(b * 8u);
    let v0 = input32(at.x);
    let v1 = input32(at.y);
    let v2 = input32(at.z);
    let v3 = input32(at.w);
    for (var r = 0u; r < 4u; r++) {
      let w = run32(p, rows[r] + b);
      sum.rows[r] += vec4<f32>(dot_run(w, v0), dot_run(w, v1), dot_run(w, v2), dot_run(w, v3));
    }
  }
  return sum;
}

var<workgroup> partial_sums: array<FourByFour, WORKGROUP>;

// Every thread gets the result.
fn workgroup_sum(value: FourByFour, thread: u32) -> FourByFour {
  partial_sums[thread] = value;
  workgroupBarrier();
  for (var i = 0u; i < SUM_STEPS; i++) {
    let half_width = WORKGROUP >> (i + 1u);
    if (thread < half_width) {
      for (var r = 0u; r < 4u; r++) {
        partial_sums[thread].rows[r] += partial_sums[thread + half_width].rows[r];
      }
    }
    workgroupBarrier();
  }
  let total = partial_sums[0];
  workgroupBarrier(); // all threads must have read this sum before the next one is written
  return total;
}
