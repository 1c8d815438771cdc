// Samples the next token from one row of logits, in one workgroup.
//
// adjusted = logits + bias, then the penalties for tokens that occurred. If the params have a mask, tokens without a
// bit in `allowed` are no candidates, whatever their logits are. At temperature 0 the largest adjusted logit wins.
// Otherwise the candidates are cut to the top_k likeliest; of those, to the fewest whose probabilities (at temperature
// 1) reach top_p; of those, to the ones with at least min_p of the largest probability. One of the rest is drawn with a
// probability proportional to exp(adjusted / temperature).
// "Likelier" means a larger adjusted logit, and of equal ones the lower id. So every cut is a prefix of one order, and
// is stored as its last candidate.
//
// All prefixes (top_k, top_p, the draw itself, the list of likeliest tokens) are found by one radix search over the
// whole vocabulary: it adds up weights in a histogram of one digit and continues in the bin where the sum reaches its
// target. Nothing is sorted, and no token is left out.
//
// logits: f32[vocabulary]; counts: u32[vocabulary]; bias: f32[vocabulary]; tokens: u32[1 or more];
// scratch: u32[vocabulary], the keys, then the histograms if they are in storage (lib/histogram_*.wgsl).
// params, result: workers/compute/gpu/ops/sample.ts.
// Grid: (1, 1, 1).
override WORKGROUP: u32;
override DIGIT_BITS: u32;  // divides 32
override DIGITS: u32 = 32u / DIGIT_BITS;
override BINS: u32 = 1u << DIGIT_BITS;
override HISTOGRAM: u32 = WORKGROUP * BINS;
// 1: runs after sample_pick.wgsl, and returns at once if that has sampled the token.
override AFTER_PICK: u32 = 0u;

@group(0) @binding(0) var<storage, read_write> state: StepState;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> params: Params;
@group(0) @binding(3) var<storage, read_write> counts: array<u32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> tokens: array<u32>;
@group(0) @binding(6) var<storage, read_write> result: Result;
@group(0) @binding(7) var<storage, read_write> scratch: array<u32>;
@group(0) @binding(8) var<uniform> vocabulary: u32;  // as an override, each size would need pipelines of its own

// The kinds of weights that a radix search adds up.
const COUNT_RAW = 0u;  // 1 per token, in the order of the raw logits
const COUNT = 1u;      // 1 per token, in the order of the adjusted logits
const MASS = 2u;       // probability at temperature 1, relative to the largest one
const DRAW = 3u;       // probability at the requested temperature, relative to the largest one

var<workgroup> stalled: u32;
var<workgroup> thread_max: array<f32, WORKGROUP>;
var<workgroup> thread_sum: array<f32, WORKGROUP>;
var<workgroup> thread_best: array<Candidate, WORKGROUP>;
var<workgroup> raw_max: f32;
var<workgroup> raw_sum: f32;
var<workgroup> best: Candidate;
// The search: (weight still to reach, weight of the last bin, unused, unused), and the digits found so far.
var<workgroup> found: vec4<f32>;
var<workgroup> found_digits: u32;
var<workgroup> has_ties: u32;
var<workgroup> not_finite: atomic<u32>;
var<workgroup> only_id: u32;
var<workgroup> listed: atomic<u32>;
var<workgroup> list: array<Candidate, MAX_TOP>;

var<private> thread: u32;
// The adjusted logit of `best`, which is subtracted in all exponentials.
var<private> largest: f32;

fn key_of(id: u32, kind: u32) -> u32 {
  if (kind == COUNT_RAW) {
    return ordered_key(finite(logits[id]));
  }
  return scratch[id];
}

fn weight_of(key: u32, kind: u32) -> f32 {
  if (kind == MASS) {
    return exp(key_value(key) - largest);
  }
  if (kind == DRAW) {
    return exp((key_value(key) - largest) / params.temperature);
  }
  return 1.0;
}

// The first pass: stores the keys of the adjusted logits in scratch. Finds the likeliest token, the maximum of the raw
// logits, and the sum of exp(raw - maximum). Notes if a logit is not finite.
fn survey() {
  var top = Candidate(0u, vocabulary);
  var highest = -LARGEST;
  var sum = 0.0;
  for (var id = thread; id < vocabulary; id += WORKGROUP) {
    if (!is_finite(logits[id])) {
      atomicStore(&not_finite, 1u);
    }
    let raw = finite(logits[id]);
    let e = exp(-abs(raw - highest));
    sum = select(sum + e, sum * e + 1.0, raw > highest);
    highest = max(highest, raw);
    let key = adjusted_key(id, raw);
    scratch[id] = key;
    if (key > top.key || top.id == vocabulary) {
      top = Candidate(key, id);
    }
  }
  thread_max[thread] = highest;
  thread_sum[thread] = sum;
  thread_best[thread] = top;
  workgroupBarrier();
  if (thread == 0u) {
    for (var other = 1u; other < WORKGROUP; other++) {
      highest = max(highest, thread_max[other]);
      if (likelier(thread_best[other], top)) {
        top = thread_best[other];
      }
    }
    sum = 0.0;
    for (var other = 0u; other < WORKGROUP; other++) {
      sum += thread_sum[other] * exp(thread_max[other] - highest);
    }
    raw_max = highest;
    raw_sum = sum;
    best = top;
  }
}

// One digit of the search. Adds up the weights of all tokens within `cut` whose higher digits are `prefix`, by this
// digit of their key. With `by_id`, only tokens with key `tied` count, by a digit of their id counted from the end.
// Then finds the bin, from the top, in which the sum reaches found.x. For the first digit the target is `goal`: a
// fraction of the total for MASS and DRAW, a number of tokens for counts.
fn search_digit(kind: u32, cut: Candidate, by_id: bool, tied: u32, shift: u32, prefix: u32, first: bool, goal: f32) {
  for (var bin = 0u; bin < BINS; bin++) {
    set_histogram(thread * BINS + bin, 0.0);
  }
  for (var id = thread; id < vocabulary; id += WORKGROUP) {
    let key = key_of(id, kind);
    let value = select(key, vocabulary - 1u - id, by_id);
    // Shifts in two steps, because a shift by 32 bits is undefined.
    let above = (value >> shift) >> DIGIT_BITS;
    if (above == prefix && (!by_id || key == tied) && within(key, id, cut)) {
      let at = thread * BINS + ((value >> shift) & (BINS - 1u));
      set_histogram(at, histogram_at(at) + weight_of(key, kind));
    }
  }
  histogram_barrier();
  for (var bin = thread; bin < BINS; bin += WORKGROUP) {
    var sum = 0.0;
    for (var other = 0u; other < WORKGROUP; other++) {
      sum += histogram_at(other * BINS + bin);
    }
    set_histogram(bin, sum);
  }
  histogram_barrier();
  if (thread == 0u) {
    var remaining = found.x;
    if (first) {
      var total = 0.0;
      for (var bin = 0u; bin < BINS; bin++) {
        total += histogram_at(bin);
      }
      remaining = select(goal, goal * total, kind >= MASS);
    }
    // Rounding may leave a remainder after the last bin with a weight. Then that bin is taken.
    var digit = 0u;
    var before = remaining;
    for (var i = 0u; i < BINS; i++) {
      let bin = BINS - 1u - i;
      let sum = histogram_at(bin);
      if (sum > 0.0) {
        digit = bin;
        before = remaining;
        remaining -= sum;
        if (remaining <= 0.0) {
          break;
        }
      }
    }
    found = vec4<f32>(before, histogram_at(digit), 0.0, 0.0);
    found_digits = (prefix << DIGIT_BITS) | digit;
  }
}

// The last candidate of the shortest prefix of the order, within `cut`, whose weight reaches the goal. If no other
// token has the same key, its id is looked up only for a draw.
//
// Compilers inline functions. Separate copies of `search_digit` for the weights with an exponential save the software
// adapter a quarter of the time, and cost it 0.1 s to compile. `search` itself is called in one place only.
fn search(kind: u32, cut: Candidate, goal: f32) -> Candidate {
  var key = 0u;
  for (var digit = 0u; digit < DIGITS; digit++) {
    let shift = 32u - DIGIT_BITS * (digit + 1u);
    if (kind == MASS) {
      search_digit(MASS, cut, false, 0u, shift, key, digit == 0u, goal);
    } else if (kind == DRAW) {
      search_digit(DRAW, cut, false, 0u, shift, key, digit == 0u, goal);
    } else {
      search_digit(kind, cut, false, 0u, shift, key, digit == 0u, goal);
    }
    key = workgroupUniformLoad(&found_digits);
  }
  if (thread == 0u) {
    has_ties = select(0u, 1u, found.y >= 1.5 * weight_of(key, kind));
  }
  if (workgroupUniformLoad(&has_ties) != 0u) {
    var id_digits = 0u;
    for (var digit = 0u; digit < DIGITS; digit++) {
      search_digit(kind, cut, true, key, 32u - DIGIT_BITS * (digit + 1u), id_digits, false, 0.0);
      id_digits = workgroupUniformLoad(&found_digits);
    }
    return Candidate(key, vocabulary - 1u - id_digits);
  }
  if (kind != DRAW) {
    return Candidate(key, vocabulary - 1u);
  }
  for (var id = thread; id < vocabulary; id += WORKGROUP) {
    if (scratch[id] == key && within(key, id, cut)) {
      only_id = id;
    }
  }
  return Candidate(key, workgroupUniformLoad(&only_id));
}

fn raw_logprob(id: u32) -> f32 {
  return finite(logits[id]) - raw_max - log(raw_sum);
}

// Writes the likeliest tokens by raw logits, those up to `cut`, to the result, in order.
fn list_top(count: u32, cut: Candidate) {
  for (var id = thread; id < vocabulary; id += WORKGROUP) {
    let key = key_of(id, COUNT_RAW);
    if (within(key, id, cut)) {
      list[min(atomicAdd(&listed, 1u), MAX_TOP - 1u)] = Candidate(key, id);
    }
  }
  workgroupBarrier();
  if (thread == 0u) {
    for (var i = 0u; i < count; i++) {
      let candidate = list[i];
      var at = i;
      while (at > 0u && likelier(candidate, list[at - 1u])) {
        list[at] = list[at - 1u];
        at--;
      }
      list[at] = candidate;
    }
    for (var i = 0u; i < count; i++) {
      result.top_ids[i] = list[i].id;
      result.top_logprobs[i] = raw_logprob(list[i].id);
    }
  }
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(local_invocation_index) index: u32) {
  thread = index;
  if (thread == 0u) {
    stalled = state.stalled;
    if (AFTER_PICK != 0u) {
      stalled |= scratch[vocabulary];
    }
  }
  if (workgroupUniformLoad(&stalled) != 0u) {
    return;
  }
  survey();
  var picked = workgroupUniformLoad(&best);
  largest = key_value(picked.key);
  let drawing = params.temperature > 0.0;
  let top_count = min(min(params.top_count, MAX_TOP), vocabulary);
  let random = threefry2x32(params.seed, vec2<u32>(state.step, 0u));
  // The last of the remaining candidates.
  var cut = EVERYTHING;
  for (var kind = COUNT_RAW; kind <= DRAW; kind++) {
    var needed = drawing;
    var goal = 0.0;
    if (kind == COUNT_RAW) {
      needed = top_count > 0u;
      goal = f32(top_count);
    } else if (kind == COUNT) {
      needed &= params.top_k > 0u && params.top_k < vocabulary;
      goal = f32(params.top_k);
    } else if (kind == MASS) {
      needed &= params.top_p < 1.0;
      goal = max(params.top_p, 0.0);
    } else {
      // The middle of one of 2^24 equal intervals, so neither 0 nor 1.
      goal = (f32(random.x >> 8u) + 0.5) / 16777216.0;
      let lowest = ordered_key(largest + log(min(params.min_p, 1.0)));
      if (params.min_p > 0.0 && lowest > cut.key) {
        cut = Candidate(lowest, vocabulary - 1u);
      }
    }
    if (!needed) {
      continue;
    }
    let last = search(kind, cut, goal);
    if (kind == COUNT_RAW) {
      list_top(top_count, last);
    } else if (kind == DRAW) {
      picked = last;
    } else {
      cut = last;
    }
  }
  if (!drawing) {
    cut = picked;
  }
  if (thread == 0u) {
    let id = min(picked.id, vocabulary - 1u);
    write_sample(id, raw_logprob(id), top_count, cut, atomicLoad(&not_finite));
  }
}
