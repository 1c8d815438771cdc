// The sampler in many workgroups, second kernel: lists the likeliest tokens, a few more than are needed.
//
// A bound first: of the maxima of all groups, the WANTED-th largest. At least WANTED tokens reach it, because each group
// has one. Only the upper 16 bits of keys are searched, so the bound is slightly lower. Then every block appends its
// tokens that reach the bound. A list may become longer than there is room: its length says so.
// Every workgroup computes the same bounds, which costs less than a dispatch more.
//
// `list` is by adjusted logits, for draws; `raw_list` by raw logits, for the list of likeliest tokens. The order within
// them depends on the GPU, so the pick sorts them.
//
// logits: f32[vocabulary]; scratch: u32[vocabulary], the keys. Grid: (BLOCKS, 1, 1).
override PER_THREAD: u32;  // ceil(vocabulary / GROUPS)

const THREADS = 256u;
// The most tokens that are wanted. Some more reach the bound, and LISTED fit.
const MOST_WANTED = 512u;
const KEPT = 16u;  // GROUPS / THREADS

@group(0) @binding(0) var<storage, read> state: StepState;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> params: Params;
@group(0) @binding(3) var<storage, read_write> scratch: array<u32>;  // shares a buffer with `work`
@group(0) @binding(4) var<storage, read_write> work: Work;
@group(0) @binding(5) var<uniform> vocabulary: u32;  // as an override, each size would need pipelines of its own

var<workgroup> reached: array<atomic<u32>, 16>;
var<private> kept: array<u32, KEPT>;

// A lower bound of the `wanted`-th largest of all threads' `kept`, or 0 if there are fewer that are not 0.
fn bound_of(wanted: u32, thread: u32) -> u32 {
  if (thread < 16u) {
    atomicStore(&reached[thread], 0u);
  }
  workgroupBarrier();
  var bound = 0u;
  for (var bit = 0u; bit < 16u; bit++) {
    let tried = bound | (0x80000000u >> bit);
    var own = 0u;
    for (var i = 0u; i < KEPT; i++) {
      own += select(0u, 1u, kept[i] >= tried);
    }
    if (own > 0u) {
      atomicAdd(&reached[bit], own);
    }
    workgroupBarrier();
    if (atomicLoad(&reached[bit]) >= wanted) {
      bound = tried;
    }
  }
  workgroupBarrier();
  return bound;
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) block: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  if (state.stalled != 0u) {
    return;
  }
  let drawing = params.temperature > 0.0;
  let listing = params.top_count > 0u;
  var bound = 0xffffffffu;
  var raw_bound = 0xffffffffu;
  if (drawing) {
    for (var i = 0u; i < KEPT; i++) {
      kept[i] = work.maxima[i * THREADS + thread];
    }
    let limited = params.top_k > 0u && params.top_k < MOST_WANTED;
    bound = max(bound_of(select(MOST_WANTED, params.top_k, limited), thread), EXCLUDED + 1u);
    if (block.x == 0u && thread == 0u) {
      work.complete = select(0u, 1u, bound == EXCLUDED + 1u);
    }
  }
  if (listing) {
    for (var i = 0u; i < KEPT; i++) {
      kept[i] = work.raw_maxima[i * THREADS + thread];
    }
    raw_bound = bound_of(min(params.top_count, MAX_TOP), thread);
  }
  let block_tokens = PER_THREAD * BLOCK_THREADS;
  for (var i = 0u; i < PER_THREAD; i++) {
    let within_block = i * THREADS + thread;
    let id = block.x * block_tokens + within_block;
    if (within_block >= block_tokens || id >= vocabulary) {
      break;
    }
    let key = scratch[id];
    if (drawing && key >= bound) {
      let at = atomicAdd(&work.listed, 1u);
      if (at < LISTED) {
        work.list[at] = Candidate(key, id);
      }
    }
    if (listing) {
      let raw_key = ordered_key(finite(logits[id]));
      if (raw_key >= raw_bound) {
        let at = atomicAdd(&work.raw_listed, 1u);
        if (at < RAW_LISTED) {
          work.raw_list[at] = Candidate(raw_key, id);
        }
      }
    }
  }
}
