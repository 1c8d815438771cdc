// Dot products of four weight rows with one or four inputs, for the variant `workgroup`. Expects a weight type's lib,
// lib/input32.wgsl, and the overrides ROWS and BLOCKS.
//
// The threads of a workgroup share the columns: one thread takes the runs first, first + step, ... below `runs`.
// `rows` holds the first run of each weight row, `x` the first vec4 of each input.
// One and four inputs are added in the same order, so that decode and prefill give the same sums.

// One sum per row.
fn dot_rows(p: Planes, rows: vec4<u32>, runs: u32, first: u32, step: u32, x: u32) -> vec4<f32> {
  var sum = vec4<f32>();
  for (var b = first; b < runs; b += step) {
    let v = input32(x + b * 8u);
    let n = rows + vec4<u32>(b);
    sum += vec4<f32>(
      dot_run(run32(p, n.x), v), dot_run(run32(p, n.y), v), dot_run(run32(p, n.z), v), dot_run(run32(p, n.w), v),
    );
  }
  return sum;
}

// Component t of each row is the sum for input t.
struct FourByFour {
  row0: vec4<f32>,
  row1: vec4<f32>,
  row2: vec4<f32>,
  row3: vec4<f32>,
}

fn dot_rows_4(p: Planes, rows: vec4<u32>, runs: u32, first: u32, step: u32, x: vec4<u32>) -> FourByFour {
  var sum = FourByFour();
  for (var b = first; b < runs; b += step) {
    let at = x + vec4<u32>(b * 8u);
    let v0 = input32(at.x);
    let v1 = input32(at.y);
    let v2 = input32(at.z);
    let v3 = input32(at.w);
    let n = rows + vec4<u32>(b);
    let w0 = run32(p, n.x);
    sum.row0 += vec4<f32>(dot_run(w0, v0), dot_run(w0, v1), dot_run(w0, v2), dot_run(w0, v3));
    let w1 = run32(p, n.y);
    sum.row1 += vec4<f32>(dot_run(w1, v0), dot_run(w1, v1), dot_run(w1, v2), dot_run(w1, v3));
    let w2 = run32(p, n.z);
    sum.row2 += vec4<f32>(dot_run(w2, v0), dot_run(w2, v1), dot_run(w2, v2), dot_run(w2, v3));
    let w3 = run32(p, n.w);
    sum.row3 += vec4<f32>(dot_run(w3, v0), dot_run(w3, v1), dot_run(w3, v2), dot_run(w3, v3));
  }
  return sum;
}

// The first runs of the four rows from `first` on. Beyond the last row that row is repeated; those sums are not stored.
fn four_rows(first: u32) -> vec4<u32> {
  return min(vec4<u32>(first) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(ROWS - 1u)) * BLOCKS;
}
