// Selects the experts of a token by their router logits, and looks up their slots. Expects lib/groups.wgsl,
// lib/ordered_key.wgsl, lib/threefry.wgsl, lib/router_noise.wgsl, the overrides EXPERTS, K and DECODE, the bindings
// that router.wgsl describes, and from the kernel:
//   fn logit_at(token: u32, expert: u32) -> f32
//   fn key_at(token: u32, expert: u32) -> u32  // rank_key(), possibly computed before
//
// Ablations in the state always apply. They change the selection, not the weights, which are those of the logits:
// - A banned expert ranks like NaN.
// - Random experts are ranked by a random number per layer, position and expert, others by their logit plus noise.
// - The best `choices_skipped` are passed over. Of the K that are then picked, the first `experts_used` are used.
// - A picked expert is stored as its stand-in.
//
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
  var score = logit_at(token, expert);
  if (state.noise_step != 0.0) {
    score += router_noise(vec2<u32>(state.noise_seed, layer.x), vec2<u32>(state.position + token, expert));
  }
  if (DECODE && state.resident_bias != 0.0 && slot_table[layer.x * EXPERTS + expert] != NO_SLOT) {
    score += state.resident_bias;
  }
  return ordered_key(score);
}

struct Ranked {
  key: u32,
  expert: u32,  // EXPERTS: none
}

// The best of the experts that rank after `last`; of all experts if `last` is none.
fn best_after(token: u32, last: Ranked) -> Ranked {
  var best = Ranked(0u, EXPERTS);
  for (var expert = 0u; expert < EXPERTS; expert++) {
    let key = key_at(token, expert);
    let left = last.expert == EXPERTS || ranks_before(last.key, last.expert, key, expert);
    if (left && (best.expert == EXPERTS || key > best.key)) {
      best = Ranked(key, expert);
    }
  }
  return best;
}

fn select_experts(token: u32) {
  var token_experts: array<u32, MAX_K>;
  var last = Ranked(0u, EXPERTS);
  for (var skipped = 0u; skipped < EXPERTS; skipped++) {
    if (skipped == state.choices_skipped) {
      break;
    }
    last = best_after(token, last);
  }
  for (var k = 0u; k < K; k++) {
    let best = best_after(token, last);
    if (best.expert == EXPERTS) {
      // Fewer are left than are picked. The first one takes the places that are not used anyway.
      token_experts[k] = token_experts[0];
    } else {
      token_experts[k] = best.expert;
      last = best;
    }
    selected_experts[token * K + k] = token_experts[k];
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
  // Without skipped ones this is `sum` again, to the bit.
  var kept = 0.0;
  for (var k = 0u; k < K; k++) {
    let share = exp(logit_at(token, token_experts[k]) - largest);
    let skip = k >= used || (DECODE && k > 0u && share / sum < state.skip_below);
    routing_weights[token * K + k] = select(share, 0.0, skip);
    if (skip) {
      selected_experts[token * K + k] = token_experts[0];
    } else {
      kept += share;
    }
  }
  for (var k = 0u; k < K; k++) {
    routing_weights[token * K + k] /= kept;
  }
  if (state.replaces != 0u) {
    for (var k = 0u; k < K; k++) {
      selected_experts[token * K + k] = stand_in(selected_experts[token * K + k]);
    }
  }
}

// The expert that computes in place of a picked one.
fn stand_in(expert: u32) -> u32 {
  let id = layer.x * EXPERTS + expert;
  if (id >= 4u * STAND_INS_LENGTH) {
    return expert;
  }
  let byte = (state.stand_ins[id / 4u] >> (8u * (id % 4u))) & 255u;
  return select(byte - 1u, expert, byte == 0u);
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
