// The sampler in many workgroups, first kernel: adjusts the logits, and finds maxima and sums of each block of tokens.
//
// keys[id] = order-preserving key of the adjusted logit (sample.wgsl). Block b has the PER_THREAD * BLOCK_THREADS tokens
// from b * PER_THREAD * BLOCK_THREADS on; its thread t has every BLOCK_THREADS-th of them, from the t-th on.
// scratch[vocabulary] = 0: the token is not sampled yet.
//
// logits: f32[vocabulary]; counts: u32[vocabulary]; bias: f32[vocabulary]; scratch: u32[vocabulary + 1], the keys first.
// Grid: (BLOCKS, 1, 1).
override PER_THREAD: u32;  // ceil(vocabulary / GROUPS)

@group(0) @binding(0) var<storage, read> state: StepState;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> params: Params;
@group(0) @binding(3) var<storage, read> counts: array<u32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> scratch: array<u32>;
@group(0) @binding(6) var<storage, read_write> work: Work;
@group(0) @binding(7) var<uniform> vocabulary: u32;  // as an override, each size would need pipelines of its own

var<workgroup> best: array<Candidate, BLOCK_THREADS>;
var<workgroup> highest: array<f32, BLOCK_THREADS>;
var<workgroup> sums: array<vec3<f32>, BLOCK_THREADS>;
var<workgroup> not_finite: atomic<u32>;

// The maxima of this thread's tokens. Writes their keys.
fn survey(first: u32, thread: u32, group: u32) {
  var top = Candidate(0u, vocabulary);
  var raw_max = -LARGEST;
  for (var i = 0u; i < PER_THREAD; i++) {
    let id = first + i * BLOCK_THREADS;
    if (id >= vocabulary) {
      break;
    }
    if (!is_finite(logits[id])) {
      atomicStore(&not_finite, 1u);
    }
    let raw = finite(logits[id]);
    raw_max = max(raw_max, raw);
    let key = adjusted_key(id, raw);
    scratch[id] = key;
    if (key > top.key) {
      top = Candidate(key, id);
    }
  }
  work.maxima[group] = top.key;
  work.raw_maxima[group] = select(0u, ordered_key(raw_max), first < vocabulary);
  best[thread] = top;
  highest[thread] = raw_max;
}

@compute @workgroup_size(BLOCK_THREADS)
fn main(@builtin(workgroup_id) block: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  if (state.stalled != 0u) {
    return;
  }
  let first = block.x * PER_THREAD * BLOCK_THREADS + thread;
  survey(first, thread, block.x * BLOCK_THREADS + thread);
  for (var step = 0u; step < 6u; step++) {
    workgroupBarrier();
    let half = (BLOCK_THREADS / 2u) >> step;
    if (thread < half) {
      if (likelier(best[thread + half], best[thread])) {
        best[thread] = best[thread + half];
      }
      highest[thread] = max(highest[thread], highest[thread + half]);
    }
  }
  workgroupBarrier();
  let raw_max = highest[0];
  let largest = key_value(best[0].key);
  var sum = vec3<f32>(0.0);
  for (var i = 0u; i < PER_THREAD; i++) {
    let id = first + i * BLOCK_THREADS;
    if (id >= vocabulary) {
      break;
    }
    sum.x += exp(finite(logits[id]) - raw_max);
    if (params.temperature > 0.0) {
      let below = key_value(scratch[id]) - largest;
      sum += vec3<f32>(0.0, exp(below), exp(below / params.temperature));
    }
  }
  sums[thread] = sum;
  for (var step = 0u; step < 6u; step++) {
    workgroupBarrier();
    let half = (BLOCK_THREADS / 2u) >> step;
    if (thread < half) {
      sums[thread] += sums[thread + half];
    }
  }
  if (thread == 0u) {
    work.blocks[block.x] =
      Block(best[0], raw_max, sums[0].x, sums[0].y, sums[0].z, atomicLoad(&not_finite), 0u);
    if (block.x == 0u) {
      scratch[vocabulary] = 0u;
      atomicStore(&work.listed, 0u);
      atomicStore(&work.raw_listed, 0u);
    }
  }
}
