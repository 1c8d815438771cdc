// Step state; mirrors workers/compute/gpu/step-state.ts. Bound as binding 0 of every kernel.
struct StepState {
  token_count: u32,  // tokens in this batch
  position: u32,     // position of the first of them
  stalled: u32,      // 0, or 1 + the layer whose expert is missing
  step: u32,         // tokens sampled so far
  resident_bias: f32,  // added to the router logits of resident experts in decode; 0 is exact
  skip_below: f32,     // in decode, experts but the first whose weight is smaller are left out; 0 is exact
  experts_used: u32,   // of the chosen experts, how many count; 0: all
  random: u32,         // 1: experts are drawn at random, by seed, layer and position
  random_seed: u32,
  banned: array<u32, 119>,  // bit layer * expert count + expert: never chosen
}
