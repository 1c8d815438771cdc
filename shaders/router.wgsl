// selected_experts[t] = the K experts with the largest router logits of token t, best first. Of equal logits the lower
// index comes first; NaN counts as lowest. routing_weights[t] = softmax of those K logits.
//
// logits: f32[tokens, STRIDE], of which the first EXPERTS columns count; selected_experts: u32[tokens, K];
// routing_weights: f32[tokens, K]; slot_table: u32[layers, EXPERTS], slot or NO_SLOT.
// Grid: x = tokens, one thread each, in workgroups of WORKGROUP.
//
// Ablations in the state always apply: a banned expert ranks like NaN; random experts are ranked by a random number per
// layer, position and expert; only the first `experts_used` of the K are used.
// With DECODE (one token) the lossy options in the state apply too: resident experts are preferred by a bias, and
// experts with a small weight are skipped. A skipped expert is stored as weight 0 and the first expert once more.
// With LOOKUP (one token) the experts are looked up in slot_table. The groups and assignments for the expert kernels
// are written. If an expert has no slot, the step is marked as stalled.
override EXPERTS: u32;
override K: u32;
override STRIDE: u32;
override LOOKUP: bool;
override DECODE: bool;
override WORKGROUP: u32;

const MAX_K = 16u;

@group(0) @binding(0) var<storage, read_write> state: StepState;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read_write> selected_experts: array<u32>;
@group(0) @binding(3) var<storage, read_write> routing_weights: array<f32>;
@group(0) @binding(4) var<storage, read> slot_table: array<u32>;
@group(0) @binding(5) var<storage, read_write> work: ExpertGroups;
@group(0) @binding(6) var<uniform> layer: vec4<u32>;  // (layer, 0, 0, 0)

// Whether (key, index) ranks before (other_key, other).
fn ranks_before(key: u32, index: u32, other_key: u32, other: u32) -> bool {
  return key > other_key || (key == other_key && index < other);
}

// The key that ranks an expert for a token: see lib/ordered_key.wgsl.
fn rank_key(token: u32, expert: u32) -> u32 {
  let bit = layer.x * EXPERTS + expert;
  if (bit < 32u * BANNED_LENGTH && ((state.banned[bit / 32u] >> (bit % 32u)) & 1u) != 0u) {
    return 0u;
  }
  if (state.random != 0u) {
    return threefry2x32(vec2<u32>(state.random_seed, layer.x), vec2<u32>(state.position + token, expert)).x | 1u;
  }
  let logit = logits[token * STRIDE + expert];
  if (DECODE && state.resident_bias != 0.0 && slot_table[layer.x * EXPERTS + expert] != NO_SLOT) {
    return ordered_key(logit + state.resident_bias);
  }
  return ordered_key(logit);
}

fn select_experts(token: u32) {
  let row = token * STRIDE;
  var token_experts: array<u32, MAX_K>;
  var last_key = 0xffffffffu;
  var last = 0u;
  for (var k = 0u; k < K; k++) {
    var best_key = 0u;
    var best = EXPERTS;
    for (var expert = 0u; expert < EXPERTS; expert++) {
      let key = rank_key(token, expert);
      let left = k == 0u || ranks_before(last_key, last, key, expert);
      if (left && (best == EXPERTS || key > best_key)) {
        best_key = key;
        best = expert;
      }
    }
    token_experts[k] = best;
    last_key = best_key;
    last = best;
    selected_experts[token * K + k] = best;
  }

  // A bias changes the selection, never the weights. So the first expert may not have the largest logit.
  var largest = logits[row + token_experts[0]];
  for (var k = 1u; k < K; k++) {
    largest = max(largest, logits[row + token_experts[k]]);
  }
  var sum = 0.0;
  for (var k = 0u; k < K; k++) {
    sum += exp(logits[row + token_experts[k]] - largest);
  }
  let used = select(state.experts_used, K, state.experts_used == 0u);
  var kept = 1.0;
  for (var k = 0u; k < K; k++) {
    let weight = exp(logits[row + token_experts[k]] - largest) / sum;
    let skip = k >= used || (DECODE && k > 0u && weight < state.skip_below);
    routing_weights[token * K + k] = select(weight, 0.0, skip);
    if (skip) {
      kept -= weight;
      selected_experts[token * K + k] = token_experts[0];
    }
  }
  if (kept < 1.0) {
    for (var k = 0u; k < K; k++) {
      routing_weights[token * K + k] /= kept;
    }
  }
}

fn look_up() {
  for (var k = 0u; k < K; k++) {
    let slot = slot_table[layer.x * EXPERTS + selected_experts[k]];
    if (slot == NO_SLOT) {
      state.stalled = layer.x + 1u;
    }
    work.groups[k] = vec4<u32>(slot, k, select(1u, 0u, routing_weights[k] == 0.0 && k > 0u), 0u);
    work.assignments[k] = k;
  }
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let token = id.x;
  if (state.stalled != 0u || token >= state.token_count) {
    return;
  }
  select_experts(token);
  if (LOOKUP && token == 0u) {
    look_up();
  }
}
