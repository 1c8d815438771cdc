// What differs from matrix to matrix in lib/product_matmul.wgsl and matmul_rows.wgsl. As overrides, each shape would need
// a pipeline of its own. In the kernels of GPUs loops have overrides as limits, so that compilers know that they end.
struct MatmulShape {
  rows: u32,
  in_stride: u32,   // in vec4
  out_stride: u32,  // in f32
  accumulate: u32,  // not 0: results are added to the output
  p1: u32,          // starts of the planes, in vec4 from the start of the tensor
  p2: u32,
  p3: u32,
  runs: u32,        // runs of 32 weights in a row, for the variant `rows`
  first_group: u32, // the workgroup with which the rows of this call start
}

@group(0) @binding(0) var<storage, read> state: StepState;
@group(0) @binding(1) var<storage, read> weights: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> input: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;
@group(0) @binding(4) var<uniform> shape: MatmulShape;

fn row_count() -> u32 {
  return shape.rows;
}

fn runs_per_row() -> u32 {
  return shape.runs;
}

fn matrix_planes() -> Planes {
  return Planes(0u, shape.p1, shape.p2, shape.p3);
}

fn store_sum(token: u32, row: u32, value: f32) {
  let at = token * shape.out_stride + row;
  if (shape.accumulate != 0u) {
    output[at] += value;
  } else {
    output[at] = value;
  }
}
