// The experts of each token: the K largest of its router logits (of equal ones the lower index first;
// NaN counts as lowest) and the softmax over those K.
//
// logits: f32[tokens, STRIDE], the first EXPERTS of each row count; selected: u32[tokens, K];
// weights: f32[tokens, K]. Grid: one thread a token.
// With DECODE (one token) the lossy options of the state count: resident experts are preferred by a bias, and experts
// of small weight are left out, which shows as weight 0 and the first choice once more.
// What the state says of an ablation counts always: banned experts rank with NaN, random ones by a number of their own,
// and of the chosen only the first may count.
// With LOOKUP (one token) the experts are looked up in slot_table: u32[layers, EXPERTS]. All there: groups and
// assignments for the expert kernels are written. One missing: the step is marked stalled.
override EXPERTS: u32;
override K: u32;
override STRIDE: u32;
override LOOKUP: bool;
override DECODE: bool;
override WORKGROUP: u32;

const MAX_K = 16u;

@group(0) @binding(0) var<storage, read_write> state: StepState;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read_write> selected: array<u32>;
@group(0) @binding(3) var<storage, read_write> weights: array<f32>;
@group(0) @binding(4) var<storage, read> slot_table: array<u32>;
@group(0) @binding(5) var<storage, read_write> work: ExpertGroups;
@group(0) @binding(6) var<uniform> place: vec4<u32>;  // (layer, 0, 0, 0)

// Is (key, index) chosen before (other_key, other)?
fn before(key: u32, index: u32, other_key: u32, other: u32) -> bool {
  return key > other_key || (key == other_key && index < other);
}

// What an expert is chosen by, as an ordered key.
fn preference(token: u32, expert: u32) -> u32 {
  let bit = place.x * EXPERTS + expert;
  if (bit < 32u * BANNED_LENGTH && ((state.banned[bit / 32u] >> (bit % 32u)) & 1u) != 0u) {
    return 0u;
  }
  if (state.random != 0u) {
    return threefry2x32(vec2<u32>(state.random_seed, place.x), vec2<u32>(state.position + token, expert)).x | 1u;
  }
  let logit = logits[token * STRIDE + expert];
  if (DECODE && state.resident_bias != 0.0 && slot_table[place.x * EXPERTS + expert] != NO_SLOT) {
    return ordered_key(logit + state.resident_bias);
  }
  return ordered_key(logit);
}

fn choose(token: u32) {
  let row = token * STRIDE;
  var chosen: array<u32, MAX_K>;
  var last_key = 0xffffffffu;
  var last = 0u;
  for (var k = 0u; k < K; k++) {
    var best_key = 0u;
    var best = EXPERTS;
    for (var expert = 0u; expert < EXPERTS; expert++) {
      let key = preference(token, expert);
      let left = k == 0u || before(last_key, last, key, expert);
      if (left && (best == EXPERTS || key > best_key)) {
        best_key = key;
        best = expert;
      }
    }
    chosen[k] = best;
    last_key = best_key;
    last = best;
    selected[token * K + k] = best;
  }

  // A bias decides who is chosen, never how much it counts; the largest logit may then not come first.
  var largest = logits[row + chosen[0]];
  for (var k = 1u; k < K; k++) {
    largest = max(largest, logits[row + chosen[k]]);
  }
  var sum = 0.0;
  for (var k = 0u; k < K; k++) {
    sum += exp(logits[row + chosen[k]] - largest);
  }
  let used = select(state.experts_used, K, state.experts_used == 0u);
  var kept = 1.0;
  for (var k = 0u; k < K; k++) {
    let weight = exp(logits[row + chosen[k]] - largest) / sum;
    let skip = k >= used || (DECODE && k > 0u && weight < state.skip_below);
    weights[token * K + k] = select(weight, 0.0, skip);
    if (skip) {
      kept -= weight;
      selected[token * K + k] = chosen[0];
    }
  }
  if (kept < 1.0) {
    for (var k = 0u; k < K; k++) {
      weights[token * K + k] /= kept;
    }
  }
}

fn look_up() {
  for (var k = 0u; k < K; k++) {
    let slot = slot_table[place.x * EXPERTS + selected[k]];
    if (slot == NO_SLOT) {
      state.stalled = place.x + 1u;
    }
    work.groups[k] = vec4<u32>(slot, k, select(1u, 0u, weights[k] == 0.0 && k > 0u), 0u);
    work.assignments[k] = k;
  }
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let token = id.x;
  if (state.stalled != 0u || token >= state.token_count) {
    return;
  }
  choose(token);
  if (LOOKUP && token == 0u) {
    look_up();
  }
}
