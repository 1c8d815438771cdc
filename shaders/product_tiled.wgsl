// Matrix product of many inputs, variants `tiled`: a workgroup computes TILE_ROWS rows for INPUTS inputs, a thread
// THREAD_ROWS x THREAD_INPUTS of these. Per step of 32 columns, a run of each row is unpacked once into workgroup
// memory, as f32, and multiplied with all inputs of the tile.
// Formula, shapes and grid: the product's lib (lib/product_*.wgsl). Groups of rows: TILE_ROWS / MATRICES rows of each
// matrix.
//
// Expects the constants INPUTS, TILE_ROWS, THREAD_ROWS (a multiple of MATRICES) and THREAD_INPUTS.
const ROW_THREADS = TILE_ROWS / THREAD_ROWS;
const WORKGROUP = ROW_THREADS * (INPUTS / THREAD_INPUTS);
// How many rows of each matrix are in a tile. Those of the first matrix come first.
const MATRIX_ROWS = TILE_ROWS / MATRICES;
// How many rows of the output a thread computes.
const THREAD_OUTPUTS = THREAD_ROWS / MATRICES;
// Columns of the inputs that are staged at once, in vec4: half a run, because workgroup memory is scarce.
const QUADS = 4u;
const PARTS = 2u;
// One vec4 more than the data, so that threads which read the same column of neighboring rows use different banks.
const WEIGHT_STRIDE = 9u;
const INPUT_STRIDE = QUADS + 1u;

// Rounds of the threads that unpack, find the inputs, and copy them.
const UNPACKS = (TILE_ROWS + WORKGROUP - 1u) / WORKGROUP;
const STARTS = (INPUTS + WORKGROUP - 1u) / WORKGROUP;
const LOADS = (INPUTS * QUADS + WORKGROUP - 1u) / WORKGROUP;

var<workgroup> weight_tile: array<vec4<f32>, TILE_ROWS * WEIGHT_STRIDE>;
var<workgroup> input_tile: array<vec4<f32>, INPUTS * INPUT_STRIDE>;
var<workgroup> starts: array<u32, INPUTS>;  // the first vec4 of each input

// Unpacks run b of every row of the tile.
fn unpack(job: Job, first_row: u32, b: u32, thread: u32) {
  for (var i = 0u; i < UNPACKS; i++) {
    let r = i * WORKGROUP + thread;
    if (r < TILE_ROWS) {
      // Beyond the last row that row is repeated; its sums are not stored.
      let row = min(first_row + r % MATRIX_ROWS, row_count() - 1u);
      let w = block32(planes_of(job, r / MATRIX_ROWS), row * BLOCKS + b);
      let at = r * WEIGHT_STRIDE;
      weight_tile[at] = w.a;
      weight_tile[at + 1u] = w.b;
      weight_tile[at + 2u] = w.c;
      weight_tile[at + 3u] = w.d;
      weight_tile[at + 4u] = w.e;
      weight_tile[at + 5u] = w.f;
      weight_tile[at + 6u] = w.g;
      weight_tile[at + 7u] = w.h;
    }
  }
}

// Copies QUADS vec4 of every input, from `quad` of its row on.
fn stage(quad: u32, thread: u32) {
  for (var i = 0u; i < LOADS; i++) {
    let n = i * WORKGROUP + thread;
    if (n < INPUTS * QUADS) {
      input_tile[n / QUADS * INPUT_STRIDE + n % QUADS] = input[starts[n / QUADS] + quad + n % QUADS];
    }
  }
}

// sum + dot(w, x), by four multiply-adds.
fn add_dot(w: vec4<f32>, x: vec4<f32>, sum: f32) -> f32 {
  return fma(w.w, x.w, fma(w.z, x.z, fma(w.y, x.y, fma(w.x, x.x, sum))));
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let first_row = row_group(group, groups) * MATRIX_ROWS;
  let job = find_job(group);
  if (job.count == 0u || first_row >= row_count()) {
    return;
  }
  for (var i = 0u; i < STARTS; i++) {
    let n = i * WORKGROUP + thread;
    if (n < INPUTS) {
      starts[n] = input_start(input_id(job, n));
    }
  }
  workgroupBarrier();
  let row = thread % ROW_THREADS;
  let first = thread / ROW_THREADS * THREAD_INPUTS;
  var sums: array<f32, THREAD_ROWS * THREAD_INPUTS>;
  for (var b = 0u; b < BLOCKS; b++) {
    unpack(job, first_row, b, thread);
    for (var part = 0u; part < PARTS; part++) {
      stage(b * 8u + part * QUADS, thread);
      workgroupBarrier();
      if (first < job.count) {
        for (var k = 0u; k < QUADS; k++) {
          var w: array<vec4<f32>, THREAD_ROWS>;
          for (var r = 0u; r < THREAD_ROWS; r++) {
            w[r] = weight_tile[(row + r * ROW_THREADS) * WEIGHT_STRIDE + part * QUADS + k];
          }
          for (var t = 0u; t < THREAD_INPUTS; t++) {
            let x = input_tile[(first + t) * INPUT_STRIDE + k];
            for (var r = 0u; r < THREAD_ROWS; r++) {
              sums[t * THREAD_ROWS + r] = add_dot(w[r], x, sums[t * THREAD_ROWS + r]);
            }
          }
        }
      }
      workgroupBarrier(); // all threads must have read the tiles before they are filled again
    }
  }
  for (var t = 0u; t < THREAD_INPUTS; t++) {
    if (first + t < job.count) {
      let id = input_id(job, first + t);
      // With two matrices, a thread's first half of rows is of the first one, and its second half the same rows of the
      // second one.
      for (var r = 0u; r < THREAD_OUTPUTS; r++) {
        let out = first_row + row + r * ROW_THREADS;
        let at = t * THREAD_ROWS + r;
        if (out < row_count()) {
          store(id, out, sums[at], sums[at + (MATRICES - 1u) * THREAD_OUTPUTS]);
        }
      }
    }
  }
}
