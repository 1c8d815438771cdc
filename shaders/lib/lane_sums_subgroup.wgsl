// Adds the sums of the lanes of product_staged.wgsl by subgroup operations and stores the results. Expects
// `enable subgroups`, ROW_GROUPS = 1 and a WORKGROUP that is a multiple of the subgroup size.
//
// The size of a subgroup is not assumed, nor which threads form one: each leaves its sum at the number of its first
// thread, and then each subgroup adds the sums of all.
override SUBGROUP_ROUNDS: u32;  // WORKGROUP / 4, because the smallest subgroups have 4 threads

const THREAD_SUMS = THREAD_ROWS * INPUTS;
const THREAD_RESULTS = THREAD_SUMS / MATRICES;
override LANE_SUMS_LENGTH: u32 = THREAD_ROWS * INPUTS * WORKGROUP;
var<workgroup> lane_sums: array<f32, LANE_SUMS_LENGTH>;

fn reduce_and_store(job: Job, first_row: u32, sums: array<f32, THREAD_SUMS>, thread: u32) {
  var own = sums;
  let size = subgroupAdd(1u);
  let number = subgroupExclusiveAdd(1u);
  let leader = thread == subgroupMin(thread);
  for (var n = 0u; n < THREAD_SUMS; n++) {
    lane_sums[n * WORKGROUP + thread] = select(0.0, subgroupAdd(own[n]), leader);
  }
  workgroupBarrier();
  for (var n = 0u; n < THREAD_SUMS; n++) {
    var total = 0.0;
    for (var i = 0u; i < SUBGROUP_ROUNDS; i++) {
      let at = i * size + number;
      if (at >= WORKGROUP) {
        break;
      }
      total += lane_sums[n * WORKGROUP + at];
    }
    own[n] = subgroupAdd(total);
  }
  for (var n = 0u; n < THREAD_RESULTS; n++) {
    let row = first_row + n / INPUTS;
    if (thread == n && row < row_count() && n % INPUTS < job.count) {
      store(input_id(job, n % INPUTS), row, own[n], own[n + (MATRICES - 1u) * THREAD_RESULTS]);
    }
  }
}
