// Dot products of up to 16 weight rows with one or four inputs, for the variant `rows`. Expects a weight type's lib,
// lib/input32.wgsl, and runs_per_row(): the runs of 32 weights in a row.
//
// One thread computes all columns. The rows share the loads of an input, the inputs share the unpacking of a weight.
// The rows are a loop instead of unrolled code: it is as fast and compiles in half the time.
// `row` is the first row, `count` the number of rows, `x` the first vec4 of each input. The sums are added to `sums`, from
// `first` on. They are not returned, because compilers copy a returned array number by number.
// One and four inputs are added in the same order, so that decode and prefill give the same sums.
// Expects the constant MATRICES: how many matrices a kernel multiplies with the same inputs.
const ROW_TILE = 16u;
const SUMS = MATRICES * ROW_TILE;

fn dot_rows(p: Planes, row: u32, count: u32, x: u32, sums: ptr<function, array<f32, SUMS>>, first: u32) {
  let runs = runs_per_row();
  for (var b = 0u; b < runs; b++) {
    let v = input32(x + b * 8u);
    for (var r = 0u; r < count; r++) {
      (*sums)[first + r] += dot_run(run32(p, (row + r) * runs + b), v);
    }
  }
}

// Component t of each element is the sum for input t.
fn dot_rows_4(
  p: Planes, row: u32, count: u32, x: vec4<u32>, sums: ptr<function, array<vec4<f32>, SUMS>>, first: u32,
) {
  let runs = runs_per_row();
  for (var b = 0u; b < runs; b++) {
    let at = x + vec4<u32>(b * 8u);
    let v0 = input32(at.x);
    let v1 = input32(at.y);
    let v2 = input32(at.z);
    let v3 = input32(at.w);
    for (var r = 0u; r < count; r++) {
      let w = run32(p, (row + r) * runs + b);
      (*sums)[first + r] += vec4<f32>(dot_run(w, v0), dot_run(w, v1), dot_run(w, v2), dot_run(w, v3));
    }
  }
}
