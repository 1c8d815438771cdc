// output[r] = sum over c of weights[r, c] * input[c]. The simplest possible kernel, one thread per row and one float
// per load: the baseline for the other kernels.
override ROWS: u32;
override COLS: u32;

@group(0) @binding(0) var<storage, read> weights: array<f32>;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= ROWS) {
    return;
  }
  var sum = 0.0;
  for (var c = 0u; c < COLS; c++) {
    sum += weights[id.x * COLS + c] * input[c];
  }
  output[id.x] = sum;
}
