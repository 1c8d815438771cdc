// Writes the sampled token to the result, and advances the step to it. For kernels that bind `state`, `counts`, `tokens`
// and `result`.
fn write_sample(id: u32, logprob: f32, top_count: u32, cut: Candidate, not_finite: u32) {
  result.token = id;
  result.logprob = logprob;
  result.step = state.step;
  result.top_count = top_count;
  result.cut_key = cut.key;
  result.cut_id = cut.id;
  result.not_finite = not_finite;
  tokens[0] = id;
  counts[id] += 1u;
  state.position += state.token_count;
  state.token_count = 1u;
  state.step += 1u;
}
