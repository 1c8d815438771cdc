// Adds the sums of the lanes of product_staged.wgsl and stores the results. In two steps: SPLIT threads per result add
// LANES / SPLIT sums each, then one thread adds these. It runs on every adapter; lib/lane_sums_subgroup.wgsl needs fewer
// barriers.
override SPLIT: u32;       // threads per result; a power of two, at most LANES
override SPLIT_SUMS: u32;  // LANES / SPLIT
override LANE_ROUNDS: u32; // results * SPLIT / WORKGROUP, rounded up

const THREAD_SUMS = THREAD_ROWS * INPUTS;
override RESULTS: u32 = ROW_GROUPS * THREAD_ROWS * INPUTS;
override LANE_SUMS_LENGTH: u32 = RESULTS * LANES;
override SPLIT_LENGTH: u32 = RESULTS * SPLIT;
var<workgroup> lane_sums: array<f32, LANE_SUMS_LENGTH>;
var<workgroup> split_sums: array<f32, SPLIT_LENGTH>;

fn result_of(n: u32) -> f32 {
  var total = 0.0;
  for (var i = 0u; i < SPLIT; i++) {
    total += split_sums[n * SPLIT + i];
  }
  return total;
}

fn reduce_and_store(job: Job, first_row: u32, sums: array<f32, THREAD_SUMS>, thread: u32) {
  var own = sums;
  let start = thread / LANES * THREAD_SUMS;
  for (var n = 0u; n < THREAD_SUMS; n++) {
    lane_sums[(start + n) * LANES + thread % LANES] = own[n];
  }
  workgroupBarrier();
  for (var round = 0u; round < LANE_ROUNDS; round++) {
    let at = round * WORKGROUP + thread;
    if (at < SPLIT_LENGTH) {
      var total = 0.0;
      for (var i = 0u; i < SPLIT_SUMS; i++) {
        total += lane_sums[at / SPLIT * LANES + i * SPLIT + at % SPLIT];
      }
      split_sums[at] = total;
    }
  }
  workgroupBarrier();
  // One thread per row of the output and input; with two matrices it needs the results of both.
  if (thread < RESULTS / MATRICES) {
    let owner = thread / (MATRIX_ROWS * INPUTS);
    let n = thread % (MATRIX_ROWS * INPUTS);
    let row = first_row + owner * MATRIX_ROWS + n / INPUTS;
    let index = n % INPUTS;
    if (row < row_count() && index < job.count) {
      let at = owner * THREAD_SUMS + n;
      store(input_id(job, index), row, result_of(at), result_of(at + (MATRICES - 1u) * MATRIX_ROWS * INPUTS));
    }
  }
}
