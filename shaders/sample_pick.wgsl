// The sampler in many workgroups, third kernel: samples from the list of the likeliest tokens, as sample.wgsl describes.
//
// The list is sorted from likeliest to unlikeliest, so each cut is a number of its first tokens, and weights are added up
// along it. All that is needed is known if the last token of every cut is in the list, or if no token that is not in the
// list has a weight. The total of an uncut vocabulary is known from its blocks. Otherwise, and if the list has
// overflowed because many logits are equal, scratch[vocabulary] stays 0, and sample.wgsl samples the token after this.
//
// logits: f32[vocabulary]; counts: u32[vocabulary]; tokens: u32[1 or more]; scratch: u32[vocabulary + 1].
// Grid: (1, 1, 1).

const THREADS = 256u;
const OWN = 4u;    // LISTED / THREADS
const PAIRS = 2u;  // LISTED / 2 / THREADS
const SORT_LEVELS = 11u;  // up to 2^10 = LISTED

@group(0) @binding(0) var<storage, read_write> state: StepState;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> params: Params;
@group(0) @binding(3) var<storage, read_write> counts: array<u32>;
@group(0) @binding(4) var<storage, read_write> tokens: array<u32>;
@group(0) @binding(5) var<storage, read_write> result: Result;
@group(0) @binding(6) var<storage, read_write> scratch: array<u32>;
@group(0) @binding(7) var<storage, read_write> work: Work;
@group(0) @binding(8) var<uniform> vocabulary: u32;  // as an override, each size would need pipelines of its own

const PADDING = Candidate(0u, 0xffffffffu);
// A position in the list that is not there.
const NONE = 0xffffffffu;

var<workgroup> stalled: u32;
var<workgroup> sorted: array<Candidate, LISTED>;
var<workgroup> sums: array<f32, LISTED>;  // of the weights of all tokens up to this one
var<workgroup> thread_sums: array<f32, THREADS>;
var<workgroup> block_sums: array<vec3<f32>, BLOCKS>;
var<workgroup> all: Block;  // of the whole vocabulary
var<workgroup> total: f32;
var<workgroup> length: u32;
var<workgroup> is_complete: u32;
var<workgroup> reached: atomic<u32>;
var<workgroup> last: atomic<u32>;
var<workgroup> above: atomic<u32>;
var<workgroup> found: u32;

var<private> thread: u32;
// The largest adjusted logit, which is subtracted in all exponentials.
var<private> largest: f32;

// Merges the blocks of the vocabulary. Always in the same order, so that the same logits give the same token.
fn merge_blocks() {
  var block = Block(PADDING, -LARGEST, 0.0, 0.0, 0.0, 0u, 0u);
  if (thread < BLOCKS) {
    block = work.blocks[thread];
  }
  sorted[thread] = block.best;
  sums[thread] = block.raw_max;
  atomicMax(&above, block.not_finite);
  for (var step = 1u; step < 7u; step++) {
    workgroupBarrier();
    let other = thread + (BLOCKS >> step);
    if (thread < (BLOCKS >> step)) {
      if (likelier(sorted[other], sorted[thread])) {
        sorted[thread] = sorted[other];
      }
      sums[thread] = max(sums[thread], sums[other]);
    }
  }
  workgroupBarrier();
  let best = sorted[0];
  let raw_max = sums[0];
  workgroupBarrier();
  var scaled = vec3<f32>(0.0);
  if (block.best.key != 0u) {
    let below = key_value(block.best.key) - key_value(best.key);
    scaled.x = block.raw_sum * exp(block.raw_max - raw_max);
    if (params.temperature > 0.0) {
      scaled.y = block.mass * exp(below);
      scaled.z = block.draw_mass * exp(below / params.temperature);
    }
  }
  if (thread < BLOCKS) {
    block_sums[thread] = scaled;
  }
  for (var step = 1u; step < 7u; step++) {
    workgroupBarrier();
    if (thread < (BLOCKS >> step)) {
      block_sums[thread] += block_sums[thread + (BLOCKS >> step)];
    }
  }
  if (thread == 0u) {
    let sum = block_sums[0];
    all = Block(best, raw_max, sum.x, sum.y, sum.z, atomicLoad(&above), 0u);
  }
}

// Sorts the first `count` tokens of `sorted`, likeliest first (bitonic sort). What follows them is padding.
fn sort(count: u32) {
  for (var level = 1u; level < SORT_LEVELS; level++) {
    let size = 1u << level;
    if (size / 2u >= count) {
      break;
    }
    for (var step = 1u; step < SORT_LEVELS; step++) {
      if (step > level) {
        break;
      }
      let distance = size >> step;
      for (var i = 0u; i < PAIRS; i++) {
        let pair = i * THREADS + thread;
        let at = 2u * pair - (pair & (distance - 1u));
        let one = sorted[at];
        let other = sorted[at + distance];
        if (likelier(other, one) == ((at & size) == 0u)) {
          sorted[at] = other;
          sorted[at + distance] = one;
        }
      }
      workgroupBarrier();
    }
  }
}

fn weight_of(at: u32, temperature: f32) -> f32 {
  return exp((key_value(sorted[at].key) - largest) / temperature);
}

// Adds up the weights of the first `kept` tokens of the list. Returns their total.
fn add_up(kept: u32, temperature: f32) -> f32 {
  var sum = 0.0;
  for (var i = 0u; i < OWN; i++) {
    let at = thread * OWN + i;
    if (at < kept) {
      sum += weight_of(at, temperature);
    }
    sums[at] = sum;
  }
  thread_sums[thread] = sum;
  for (var step = 0u; step < 8u; step++) {
    workgroupBarrier();
    let distance = 1u << step;
    var before = 0.0;
    if (thread >= distance) {
      before = thread_sums[thread - distance];
    }
    workgroupBarrier();
    thread_sums[thread] += before;
  }
  workgroupBarrier();
  if (thread > 0u) {
    for (var i = 0u; i < OWN; i++) {
      sums[thread * OWN + i] += thread_sums[thread - 1u];
    }
  }
  if (thread == 0u) {
    total = thread_sums[THREADS - 1u];
  }
  return workgroupUniformLoad(&total);
}

// The first of the `kept` tokens at which the sum reaches the goal. Rounding may leave a remainder after the last one
// with a weight. Then that one is taken.
fn reaching(goal: f32, kept: u32, temperature: f32) -> u32 {
  if (thread == 0u) {
    atomicStore(&reached, NONE);
    atomicStore(&last, 0u);
  }
  workgroupBarrier();
  for (var i = 0u; i < OWN; i++) {
    let at = thread * OWN + i;
    if (at < kept && weight_of(at, temperature) > 0.0) {
      atomicMax(&last, at);
      if (sums[at] >= goal) {
        atomicMin(&reached, at);
      }
    }
  }
  workgroupBarrier();
  if (thread == 0u) {
    found = atomicLoad(&reached);
    if (found == NONE) {
      found = atomicLoad(&last);
    }
  }
  return workgroupUniformLoad(&found);
}

// How many of the first `kept` tokens have at least this key.
fn count_from(key: u32, kept: u32) -> u32 {
  if (thread == 0u) {
    atomicStore(&above, 0u);
  }
  workgroupBarrier();
  for (var i = 0u; i < OWN; i++) {
    let at = thread * OWN + i;
    if (at < kept && sorted[at].key >= key) {
      atomicAdd(&above, 1u);
    }
  }
  workgroupBarrier();
  if (thread == 0u) {
    found = atomicLoad(&above);
  }
  return workgroupUniformLoad(&found);
}

fn raw_logprob(id: u32, whole: Block) -> f32 {
  return finite(logits[id]) - whole.raw_max - log(whole.raw_sum);
}

// Writes the likeliest tokens by raw logits to the result. Returns whether they are known.
fn list_top(count: u32, whole: Block) -> bool {
  if (thread == 0u) {
    length = atomicLoad(&work.raw_listed);
  }
  let listed = workgroupUniformLoad(&length);
  if (listed > RAW_LISTED) {
    return false;
  }
  for (var i = 0u; i < OWN; i++) {
    let at = i * THREADS + thread;
    sorted[at] = PADDING;
    if (at < listed) {
      sorted[at] = work.raw_list[at];
    }
  }
  workgroupBarrier();
  sort(listed);
  if (thread < count) {
    let id = sorted[thread].id;
    result.top_ids[thread] = id;
    result.top_logprobs[thread] = raw_logprob(id, whole);
  }
  workgroupBarrier();
  return true;
}

// What is drawn: a position in `sorted`, and how many tokens remained. NONE: not known.
struct Drawn {
  at: u32,
  kept: u32,
}
const UNKNOWN = Drawn(NONE, 0u);

fn draw(whole: Block) -> Drawn {
  if (thread == 0u) {
    length = atomicLoad(&work.listed);
    is_complete = work.complete;
  }
  let listed = workgroupUniformLoad(&length);
  if (listed == 0u || listed > LISTED) {
    return UNKNOWN;
  }
  for (var i = 0u; i < OWN; i++) {
    let at = i * THREADS + thread;
    sorted[at] = PADDING;
    if (at < listed) {
      sorted[at] = work.list[at];
    }
  }
  workgroupBarrier();
  sort(listed);
  // Whether all remaining tokens are the first `kept` of the list. If not, nothing has been cut yet.
  var known = workgroupUniformLoad(&is_complete) != 0u;
  var kept = listed;
  if (params.top_k > 0u && params.top_k < vocabulary) {
    if (params.top_k > listed && !known) {
      return UNKNOWN;
    }
    kept = min(params.top_k, listed);
    known = true;
  }
  if (params.top_p < 1.0) {
    let sum = add_up(kept, 1.0);
    let goal = max(params.top_p, 0.0) * select(whole.mass, sum, known);
    if (!known && sum < goal) {
      return UNKNOWN;
    }
    kept = reaching(goal, kept, 1.0) + 1u;
    known = true;
  }
  if (params.min_p > 0.0) {
    let least = ordered_key(key_value(whole.best.key) + log(min(params.min_p, 1.0)));
    let count = count_from(least, kept);
    if (count == kept && !known) {
      return UNKNOWN;
    }
    kept = count;
    known = true;
  }
  let sum = add_up(kept, params.temperature);
  let random = threefry2x32(params.seed, vec2<u32>(state.step, 0u));
  // The middle of one of 2^24 equal intervals, so neither 0 nor 1.
  let goal = (f32(random.x >> 8u) + 0.5) / 16777216.0 * select(whole.draw_mass, sum, known);
  if (thread == 0u) {
    length = select(0u, 1u, known || sum >= goal);
  }
  if (workgroupUniformLoad(&length) == 0u) {
    return UNKNOWN;
  }
  return Drawn(reaching(goal, kept, params.temperature), select(NONE, kept, known));
}

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) index: u32) {
  thread = index;
  if (thread == 0u) {
    stalled = state.stalled;
  }
  if (workgroupUniformLoad(&stalled) != 0u) {
    return;
  }
  merge_blocks();
  let whole = workgroupUniformLoad(&all);
  largest = key_value(whole.best.key);
  let top_count = min(min(params.top_count, MAX_TOP), vocabulary);
  if (top_count > 0u) {
    if (!list_top(top_count, whole)) {
      return;
    }
  }
  var picked = whole.best;
  var cut = whole.best;
  if (params.temperature > 0.0) {
    let drawn = draw(whole);
    if (drawn.at == NONE) {
      return;
    }
    picked = sorted[drawn.at];
    cut = EVERYTHING;
    if (drawn.kept != NONE) {
      cut = sorted[drawn.kept - 1u];
    }
  }
  if (thread == 0u) {
    let id = min(picked.id, vocabulary - 1u);
    write_sample(id, raw_logprob(id, whole), top_count, cut, whole.not_finite);
    scratch[vocabulary] = 1u;
  }
}
