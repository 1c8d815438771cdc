// output[t] = logits[t, targets[t]] - log(sum over v of exp(logits[t, v])): the log-probability of a given next token.
//
// logits: f32[tokens, STRIDE], of which the first VOCABULARY columns count; targets: u32[tokens]; output: f32[tokens].
// One workgroup computes a row. It finds the largest logit first, so that no exponential overflows.
// Grid: x = 1; y = tokens.
override VOCABULARY: u32;
override STRIDE: u32;
override WORKGROUP: u32;  // a power of two

@group(0) @binding(0) var<storage, read> state: StepState;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> targets: array<u32>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;

var<workgroup> partial: array<f32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let token = group.y;
  if (state.stalled != 0u || token >= state.token_count) {
    return;
  }
  let row = token * STRIDE;
  var largest = -3.4e38;
  for (var v = thread; v < VOCABULARY; v += WORKGROUP) {
    largest = max(largest, logits[row + v]);
  }
  partial[thread] = largest;
  workgroupBarrier();
  for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
    if (thread < half) {
      partial[thread] = max(partial[thread], partial[thread + half]);
    }
    workgroupBarrier();
  }
  largest = partial[0];
  workgroupBarrier();
  var sum = 0.0;
  for (var v = thread; v < VOCABULARY; v += WORKGROUP) {
    sum += exp(logits[row + v] - largest);
  }
  partial[thread] = sum;
  workgroupBarrier();
  for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
    if (thread < half) {
      partial[thread] += partial[thread + half];
    }
    workgroupBarrier();
  }
  if (thread == 0u) {
    output[token] = logits[row + targets[token]] - largest - log(partial[0]);
  }
}
