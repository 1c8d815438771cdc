// The next token from the logits, its log-probability and the likeliest tokens. One workgroup.
//
// Order of the steps, as in llama.cpp: bias, penalties, top-k, top-p, min-p, temperature, draw.
// What top-k, top-p and min-p keep is "adjusted logit >= threshold"; thresholds are found by bisection over
// the ordered bits of f32, so nothing is sorted and nothing cut off. Equal logits are kept or dropped together.
// The draw is Gumbel-max: argmax of logit / T + g, g from a hash of (seed, step, token).
// Log-probabilities are those of the raw logits.
// Grid: 1.
override VOCABULARY: u32;
override WORKGROUP: u32;

struct Params {
  temperature: f32,  // 0: greedy
  top_k: u32,        // 0: off
  top_p: f32,        // 1: off
  min_p: f32,        // 0: off
  repetition: f32,   // 1: off
  presence: f32,
  frequency: f32,
  seed: u32,
  top_count: u32,    // how many of the likeliest tokens to report
}

// Mirrors SAMPLE_RESULT in workers/gpu/ops/sample.ts.
struct Result {
  id: u32,
  logprob: f32,
  top_ids: array<u32, 20>,
  top_logprobs: array<f32, 20>,
}

@group(0) @binding(0) var<storage, read> state: StepState;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> params: Params;
@group(0) @binding(3) var<storage, read> counts: array<u32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> adjusted: array<f32>;
@group(0) @binding(6) var<storage, read_write> result: Result;

// A candidate: how good, and which token.
struct Candidate {
  key: u32,  // ordered bits of its value
  id: u32,
}

var<workgroup> partial_values: array<f32, WORKGROUP>;
var<workgroup> partial_candidates: array<Candidate, WORKGROUP>;

// Every thread adds the partial results up by itself: two barriers, where a tree would take many.
fn sum_of(value: f32, thread: u32) -> f32 {
  partial_values[thread] = value;
  workgroupBarrier();
  var total = 0.0;
  for (var i = 0u; i < WORKGROUP; i++) {
    total += partial_values[i];
  }
  workgroupBarrier();
  return total;
}

// The better of two: the larger value, of equals the lower token.
fn better(a: Candidate, b: Candidate) -> Candidate {
  let first = a.key > b.key || (a.key == b.key && a.id < b.id);
  return Candidate(select(b.key, a.key, first), select(b.id, a.id, first));
}

const NOTHING = Candidate(0u, 0xffffffffu);

fn best_of(candidate: Candidate, thread: u32) -> Candidate {
  partial_candidates[thread] = candidate;
  workgroupBarrier();
  var best = NOTHING;
  for (var i = 0u; i < WORKGROUP; i++) {
    best = better(best, partial_candidates[i]);
  }
  workgroupBarrier();
  return best;
}

// exp(logit - peak) of the adjusted logits at or above a threshold key, added up.
fn mass_from(key: u32, peak: f32, thread: u32) -> f32 {
  var mass = 0.0;
  for (var i = thread; i < VOCABULARY; i += WORKGROUP) {
    let value = adjusted[i];
    mass += select(0.0, exp(value - peak), ordered_key(value) >= key);
  }
  return sum_of(mass, thread);
}

// How many adjusted logits are at or above a threshold key (exact in f32: vocabularies are below 2^24).
fn count_from(key: u32, thread: u32) -> f32 {
  var count = 0.0;
  for (var i = thread; i < VOCABULARY; i += WORKGROUP) {
    count += select(0.0, 1.0, ordered_key(adjusted[i]) >= key);
  }
  return sum_of(count, thread);
}

// A number in (0, 1) from seed, step and token (PCG3D, Jarzynski and Olano 2020).
fn uniform_random(seed: u32, step: u32, id: u32) -> f32 {
  var v = vec3<u32>(seed, step, id) * 1664525u + 1013904223u;
  v.x += v.y * v.z;
  v.y += v.z * v.x;
  v.z += v.x * v.y;
  v ^= v >> vec3<u32>(16u);
  v.x += v.y * v.z;
  v.y += v.z * v.x;
  v.z += v.x * v.y;
  return (f32(v.x >> 8u) + 0.5) / 16777216.0;
}

fn adjust(logit: f32, count: u32, extra: f32) -> f32 {
  var value = logit + extra;
  if (count > 0u) {
    value = select(value / params.repetition, value * params.repetition, value <= 0.0);
    value -= f32(count) * params.frequency + params.presence;
  }
  return value;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(local_invocation_index) thread: u32) {
  if (state.stalled != 0u) {
    return;
  }
  // The likeliest of all and of the adjusted logits; log of the sum of exponentials.
  var raw_best = NOTHING;
  var adjusted_best = NOTHING;
  for (var i = thread; i < VOCABULARY; i += WORKGROUP) {
    let value = adjust(logits[i], counts[i], bias[i]);
    adjusted[i] = value;
    raw_best = better(raw_best, Candidate(ordered_key(logits[i]), i));
    adjusted_best = better(adjusted_best, Candidate(ordered_key(value), i));
  }
  raw_best = best_of(raw_best, thread);
  adjusted_best = best_of(adjusted_best, thread);
  let raw_peak = logits[raw_best.id];
  var exponentials = 0.0;
  for (var i = thread; i < VOCABULARY; i += WORKGROUP) {
    exponentials += exp(logits[i] - raw_peak);
  }
  let log_sum = raw_peak + log(sum_of(exponentials, thread));

  // The likeliest tokens, one after the other: the best of those after the one before.
  var last = raw_best;
  for (var n = 0u; n < min(params.top_count, 20u); n++) {
    if (thread == 0u) {
      result.top_ids[n] = last.id;
      result.top_logprobs[n] = logits[last.id] - log_sum;
    }
    var next = NOTHING;
    for (var i = thread; i < VOCABULARY; i += WORKGROUP) {
      let key = ordered_key(logits[i]);
      if (key < last.key || (key == last.key && i > last.id)) {
        next = better(next, Candidate(key, i));
      }
    }
    last = best_of(next, thread);
  }

  var chosen = adjusted_best;
  if (params.temperature > 0.0) {
    let peak = adjusted[adjusted_best.id];
    var threshold = 0u;
    if (params.top_k > 0u && params.top_k < VOCABULARY) {
      // The largest key with at least k logits at or above it.
      for (var bit = 0x80000000u; bit > 0u; bit >>= 1u) {
        threshold = select(threshold, threshold | bit, count_from(threshold | bit, thread) >= f32(params.top_k));
      }
    }
    if (params.top_p < 1.0) {
      // The largest key with at least the share p of the mass that top-k left at or above it.
      let wanted = params.top_p * mass_from(threshold, peak, thread);
      var key = 0u;
      for (var bit = 0x80000000u; bit > 0u; bit >>= 1u) {
        key = select(key, key | bit, mass_from(key | bit, peak, thread) >= wanted);
      }
      threshold = max(threshold, key);
    }
    if (params.min_p > 0.0) {
      threshold = max(threshold, ordered_key(peak + log(params.min_p)));
    }
    // The best is always kept, whatever rounding does.
    threshold = min(threshold, adjusted_best.key);
    var drawn = NOTHING;
    for (var i = thread; i < VOCABULARY; i += WORKGROUP) {
      let value = adjusted[i];
      if (ordered_key(value) >= threshold) {
        let gumbel = -log(-log(uniform_random(params.seed, state.step, i)));
        drawn = better(drawn, Candidate(ordered_key((value - peak) / params.temperature + gumbel), i));
      }
    }
    chosen = best_of(drawn, thread);
  }
  if (thread == 0u) {
    result.id = chosen.id;
    result.logprob = logits[chosen.id] - log_sum;
  }
}
