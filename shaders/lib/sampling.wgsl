// The sampler's options and result, and the order of tokens. Shared by shaders/sample*.wgsl.
const MAX_TOP = 20u;
const LARGEST = 3e38;

struct Params {
  temperature: f32,
  top_k: u32,
  top_p: f32,
  min_p: f32,
  repetition: f32,
  presence: f32,
  frequency: f32,
  penalties: u32,  // 0: the three fields above are neutral
  biases: u32,     // 0: all are 0
  top_count: u32,
  seed: vec2<u32>,
  masked: u32,  // 0: every token is allowed
  reserved: array<u32, 3>,
  allowed: array<u32>,  // one bit per token, lowest bit first
}

struct Result {
  token: u32,
  logprob: f32,
  step: u32,
  top_count: u32,
  top_ids: array<u32, MAX_TOP>,
  top_logprobs: array<f32, MAX_TOP>,
  cut_key: u32,
  cut_id: u32,
  not_finite: u32,  // 1 if a logit is NaN or infinite; the token is worth nothing then
}

// The key of a token that is not allowed: that of -3.4e38. It is below the key of -LARGEST, so that next to any allowed
// token its weight is exp(-4e37) = 0.
const EXCLUDED = 0x00803661u;

// A token in the order from likeliest to unlikeliest. All tokens up to it form a prefix of the order.
struct Candidate {
  key: u32,
  id: u32,
}
const EVERYTHING = Candidate(0u, 0xffffffffu);

// Compares bits, because implementations may assume that there are no NaN and no infinities.
fn is_finite(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
}

// Makes a number comparable and subtractable: NaN and infinities become large finite numbers.
fn finite(x: f32) -> f32 {
  return select(clamp(x, -LARGEST, LARGEST), -LARGEST, ordered_key(x) == 0u);
}

fn likelier(a: Candidate, b: Candidate) -> bool {
  return a.key > b.key || (a.key == b.key && a.id < b.id);
}

fn within(key: u32, id: u32, cut: Candidate) -> bool {
  return key > cut.key || (key == cut.key && id <= cut.id);
}
