// selected_experts[t] = the K experts with the largest router logits of token t, best first. Of equal logits the lower
// index comes first; NaN counts as lowest. routing_weights[t] = softmax of those K logits.
//
// logits: f32[tokens, STRIDE], of which the first EXPERTS columns count; selected_experts: u32[tokens, K];
// routing_weights: f32[tokens, K]; slot_table: u32[layers, EXPERTS], slot or NO_SLOT.
// Grid: x = tokens, one thread each, in workgroups of WORKGROUP.
//
// Ablations and lossy options: lib/select_experts.wgsl.
// With LOOKUP (one token) the experts are looked up in slot_table. The groups and assignments for the expert kernels
// are written. If an expert has no slot, the step is marked as stalled.
override EXPERTS: u32;
override K: u32;
override STRIDE: u32;
override LOOKUP: bool;
override DECODE: bool;
override WORKGROUP: u32;

@group(0) @binding(0) var<storage, read_write> state: StepState;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read_write> selected_experts: array<u32>;
@group(0) @binding(3) var<storage, read_write> routing_weights: array<f32>;
@group(0) @binding(4) var<storage, read> slot_table: array<u32>;
@group(0) @binding(5) var<storage, read_write> work: ExpertGroups;
@group(0) @binding(6) var<uniform> layer: vec4<u32>;  // (layer, 0, 0, 0)

fn logit_at(token: u32, expert: u32) -> f32 {
  return logits[token * STRIDE + expert];
}

fn key_at(token: u32, expert: u32) -> u32 {
  return rank_key(token, expert);
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
