// Matrix product of one or a few inputs, variants `staged` and `subgroup`: LANES threads share the columns of some rows,
// and a workgroup has ROW_GROUPS such sets of threads. The inputs are read together, as neighboring vec4, into workgroup
// memory (the slab), from which all sets read them. A thread holds a unit of each of its rows: one run of 32 weights, or
// two runs that share bytes, so that these are loaded once (lib/unit_*.wgsl).
// Formula, shapes and grid: the product's lib (lib/product_*.wgsl). Groups of rows: ROW_GROUPS * THREAD_ROWS / MATRICES
// rows of each matrix.
//
// Expects the constants INPUTS (at least 1) and THREAD_ROWS, and reduce_and_store() of lib/lane_sums_*.wgsl.
override LANES: u32;
override ROW_GROUPS: u32;
override ITERATIONS: u32;  // units in a row / LANES, rounded up
override LOADS: u32;       // vec4 of the slab / threads of the workgroup
override WORKGROUP: u32;   // LANES * ROW_GROUPS
override UNITS: u32;       // units in a row

// How many rows of each matrix a thread sums.
const MATRIX_ROWS = THREAD_ROWS / MATRICES;

// [input][vec4 of a run][lane]. The row of a quad is one longer than LANES, so that neither writes nor reads collide in
// the banks of the memory.
override SLAB_STRIDE: u32 = LANES + 1u;
override SLAB_LENGTH: u32 = 8u * (LANES + 1u) * INPUTS;
var<workgroup> slab: array<vec4<f32>, SLAB_LENGTH>;

// Fills the slab with run `part` of the units from `first` on. Runs beyond the row are zero.
fn stage(job: Job, first: u32, part: u32, thread: u32) {
  for (var i = 0u; i < LOADS; i++) {
    let n = i * WORKGROUP + thread;
    let quad = n % 8u;
    let lane = (n / 8u) % LANES;
    let index = n / (8u * LANES);
    let run = run_of_unit(first + lane, part);
    var value = vec4<f32>();
    if (run < BLOCKS) {
      value = input[input_start(input_id(job, index)) + run * 8u + quad];
    }
    slab[(index * 8u + quad) * SLAB_STRIDE + lane] = value;
  }
}

fn staged32(index: u32, lane: u32) -> Input32 {
  let at = index * 8u * SLAB_STRIDE + lane;
  return prepare(Block32(
    slab[at], slab[at + SLAB_STRIDE], slab[at + 2u * SLAB_STRIDE], slab[at + 3u * SLAB_STRIDE],
    slab[at + 4u * SLAB_STRIDE], slab[at + 5u * SLAB_STRIDE], slab[at + 6u * SLAB_STRIDE], slab[at + 7u * SLAB_STRIDE],
  ));
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let first_row = row_group(group, groups) * ROW_GROUPS * MATRIX_ROWS;
  let job = find_job(group);
  if (job.count == 0u || first_row >= row_count()) {
    return;
  }
  load_grid(thread);
  let lane = thread % LANES;
  let row = first_row + thread / LANES * MATRIX_ROWS;
  var sums: array<f32, THREAD_ROWS * INPUTS>;
  for (var i = 0u; i < ITERATIONS; i++) {
    let unit = i * LANES + lane;
    var units: array<Unit, THREAD_ROWS>;
    if (unit < UNITS) {
      for (var r = 0u; r < THREAD_ROWS; r++) {
        // Beyond the last row that row is repeated; its sums are not stored.
        let start = min(row + r % MATRIX_ROWS, row_count() - 1u) * UNITS;
        units[r] = unit_at(planes_of(job, r / MATRIX_ROWS), start + unit);
      }
    }
    for (var part = 0u; part < UNIT_RUNS; part++) {
      workgroupBarrier(); // all threads must have read the slab before it is filled again
      stage(job, i * LANES, part, thread);
      workgroupBarrier();
      if (INPUTS == 1u) {
        let v = staged32(0u, lane);
        for (var r = 0u; r < THREAD_ROWS; r++) {
          sums[r] += dot_run(run_of(units[r], part), v);
        }
      } else {
        for (var r = 0u; r < THREAD_ROWS; r++) {
          let w = run_of(units[r], part);
          for (var t = 0u; t < INPUTS; t++) {
            sums[r * INPUTS + t] += dot_run(w, staged32(t, lane));
          }
        }
      }
    }
  }
  reduce_and_store(job, first_row, sums, thread);
}
