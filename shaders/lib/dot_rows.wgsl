// Dot products of up to 16 weight rows with one or four inputs, by one thread: what it costs to load and prepare an input
// is shared by the rows, what it costs to unpack a weight by the inputs. The rows are a loop, not unrolled code: as
// fast, and compiled in half the time. `row` is the first row, `count` how many; `x` the inputs' first vec4.
// One and four inputs add in the same order: decode and prefill give the same sums.
const ROW_TILE = 16u;

fn dot_rows(p: Planes, row: u32, count: u32, x: u32) -> array<f32, ROW_TILE> {
  var sums: array<f32, ROW_TILE>;
  for (var b = 0u; b < BLOCKS; b++) {
    let v = input32(x + b * 8u);
    for (var r = 0u; r < count; r++) {
      sums[r] += dot_run(run32(p, (row + r) * BLOCKS + b), v);
    }
  }
  return sums;
}

// Component t of a row's sums is input t.
fn dot_rows_4(p: Planes, row: u32, count: u32, x: vec4<u32>) -> array<vec4<f32>, ROW_TILE> {
  var sums: array<vec4<f32>, ROW_TILE>;
  for (var b = 0u; b < BLOCKS; b++) {
    let at = x + vec4<u32>(b * 8u);
    let v0 = input32(at.x);
    let v1 = input32(at.y);
    let v2 = input32(at.z);
    let v3 = input32(at.w);
    for (var r = 0u; r < count; r++) {
      let w = run32(p, (row + r) * BLOCKS + b);
      sums[r] += vec4<f32>(dot_run(w, v0), dot_run(w, v1), dot_run(w, v2), dot_run(w, v3));
    }
  }
  return sums;
}
