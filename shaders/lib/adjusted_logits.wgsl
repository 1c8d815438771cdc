// The logits that the sampler ranks: with biases and penalties. For kernels that bind `params`, `counts` and `bias`.
fn adjusted(id: u32, raw: f32) -> f32 {
  var x = raw;
  if (params.biases != 0u) {
    x += bias[id];
  }
  if (params.penalties != 0u) {
    let count = counts[id];
    if (count > 0u) {
      x = select(x / params.repetition, x * params.repetition, x <= 0.0);
      x -= f32(count) * params.frequency + params.presence;
    }
  }
  return finite(x);
}

// The key by which a token is ranked. Tokens that are not allowed come last.
fn adjusted_key(id: u32, raw: f32) -> u32 {
  if (params.masked != 0u && ((params.allowed[id / 32u] >> (id % 32u)) & 1u) == 0u) {
    return EXCLUDED;
  }
  return ordered_key(adjusted(id, raw));
}
