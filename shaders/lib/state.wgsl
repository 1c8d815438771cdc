// Step state; mirrors workers/gpu/step-state.ts. Bound as binding 0 of every kernel.
struct StepState {
  token_count: u32,  // tokens in this batch
  position: u32,     // position of the first of them
  stalled: u32,      // 0, or 1 + the layer whose expert is missing
  step: u32,         // tokens sampled so far
}
