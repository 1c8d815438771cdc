// Selects the experts of a token by their router logits, and looks up their slots. Expects lib/groups.wgsl,
// lib/ordered_key.wgsl, lib/threefry.wgsl, the overrides EXPERTS, K and DECODE, the bindings that router.wgsl describes,
// and from the kernel:
//   fn logit_at(token: u32, expert: u32) -> f32
//   fn key_at(token: u32, expert: u32) -> u32  // rank_key(), possibly computed before
//
// Ablations in the state always apply: a banned expert ranks like NaN; random experts are ranked by a random number per
// layer, position and expert; only the first `experts_used` of the K are used.
// With DECODE (one token) the lossy options in the state apply too: resident experts are preferred by a bias, and
// experts with a small weight are skipped. A skipped expert is stored as weight 0 and the first expert once more.
const MAX_K = 16u;

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
  let logit = logit_at(token, expert);
  if (DECODE && state.resident_bias != 0.0 && slot_table[layer.x * EXPERTS + expert] != NO_SLOT) {
    return ordered_key(logit + state.resident_bias);
  }
  return ordered_key(logit);
}

fn select_experts(token: u32) {
  var token_experts: array<u32, MAX_K>;
  var last_key = 0xffffffffu;
  var last = 0u;
  for (var k = 0u; k < K; k++) {
    var best_key = 0u;
    var best = EXPERTS;
    for (var expert = 0u; expert < EXPERTS; expert++) {
      let key = key_at(token, expert);
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
  var largest = logit_at(token, token_experts[0]);
  for (var k = 1u; k < K; k++) {
    largest = max(largest, logit_at(token, token_experts[k]));
  }
  var sum = 0.0;
  for (var k = 0u; k < K; k++) {
    sum += exp(logit_at(token, token_experts[k]) - largest);
  }
  let used = select(state.experts_used, K, state.experts_used == 0u);
  var kept = 1.0;
  for (var k = 0u; k < K; k++) {
    let weight = exp(logit_at(token, token_experts[k]) - largest) / sum;
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
