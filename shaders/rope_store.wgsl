// Rotates q and k by their position (rotary position embedding), q in place, and stores k and v in the KV cache.
// For each pair (2j, 2j + 1) of a head with j < ROPE_PAIRS, at position p, with (c, s) = table[p, j]:
//   (a, b) -> (a c - b s, a s + b c)
// Other dimensions keep their values.
//
// q: f32[tokens, Q_STRIDE], read and written; k: f32[tokens, K_STRIDE]; v: f32[tokens, V_STRIDE];
// table: f32[positions, ROPE_PAIRS, 2]; key_cache, value_cache: u32[capacity, KV_HEADS, HEAD_PAIRS], packed pairs of
// f16 (lib/pack_halves.wgsl). Token t is stored at position state.position + t.
// Grid: x = the pairs of q, then of k, then of v, in workgroups of WORKGROUP; y = tokens.
override HEADS: u32;
override KV_HEADS: u32;
override HEAD_PAIRS: u32;  // head dimension / 2
override ROPE_PAIRS: u32;
override Q_STRIDE: u32;
override K_STRIDE: u32;
override V_STRIDE: u32;
override WORKGROUP: u32;

@group(0) @binding(0) var<storage, read> state: StepState;
@group(0) @binding(1) var<storage, read_write> q: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read> k: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read> v: array<vec2<f32>>;
@group(0) @binding(4) var<storage, read> table: array<vec2<f32>>;
@group(0) @binding(5) var<storage, read_write> key_cache: array<u32>;
@group(0) @binding(6) var<storage, read_write> value_cache: array<u32>;

fn rotated(pair: vec2<f32>, position: u32, head_pair: u32) -> vec2<f32> {
  if (head_pair >= ROPE_PAIRS) {
    return pair;
  }
  let cos_sin = table[position * ROPE_PAIRS + head_pair];
  return vec2<f32>(pair.x * cos_sin.x - pair.y * cos_sin.y, pair.x * cos_sin.y + pair.y * cos_sin.x);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let token = id.y;
  if (state.stalled != 0u || token >= state.token_count) {
    return;
  }
  let q_pairs = HEADS * HEAD_PAIRS;
  let kv_pairs = KV_HEADS * HEAD_PAIRS;
  let position = state.position + token;
  if (position >= arrayLength(&key_cache) / kv_pairs) {
    return;  // a caller's bug: the cache is full; nothing may be written elsewhere
  }
  var pair = id.x;
  if (pair < q_pairs) {
    let at = token * (Q_STRIDE / 2u) + pair;
    q[at] = rotated(q[at], position, pair % HEAD_PAIRS);
    return;
  }
  pair -= q_pairs;
  if (pair < kv_pairs) {
    let key = k[token * (K_STRIDE / 2u) + pair];
    key_cache[position * kv_pairs + pair] = pack_halves(rotated(key, position, pair % HEAD_PAIRS));
    return;
  }
  pair -= kv_pairs;
  if (pair < kv_pairs) {
    value_cache[position * kv_pairs + pair] = pack_halves(v[token * (V_STRIDE / 2u) + pair]);
  }
}
