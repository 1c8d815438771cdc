// After sampling: the token is counted, becomes the next input, and the state moves on by one position.
// A kernel of its own, since the sampler's barriers forbid it to write the state it branches on. Grid: 1.
@group(0) @binding(0) var<storage, read_write> state: StepState;
@group(0) @binding(1) var<storage, read> result: array<u32>;  // result[0] = sampled token
@group(0) @binding(2) var<storage, read_write> counts: array<u32>;
@group(0) @binding(3) var<storage, read_write> tokens: array<u32>;

@compute @workgroup_size(1)
fn main() {
  if (state.stalled != 0u) {
    return;
  }
  let id = result[0];
  counts[id] += 1u;
  tokens[0] = id;
  state.position += state.token_count;
  state.token_count = 1u;
  state.step += 1u;
}
