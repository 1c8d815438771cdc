// The router of one token in decode, in one workgroup:
//   normed[c] = residual[c] * inverseSqrt(mean over c of residual[c]^2 + EPSILON) * weight[c]
//   logits[e] = sum over c of W[e, c] * normed[c]
//   selected_experts, routing_weights = the K experts with the largest logits, and the softmax of those logits
// With LOOKUP the slots of the experts are looked up, and the step stalls if one is missing: see router.wgsl.
//
// residual, normed: f32[WIDTH], their padding zero; weight: f32[WIDTH]; W [EXPERTS, BLOCKS * 32], of any weight type
// without a grid; logits: f32[EXPERTS]; the others as in router.wgsl.
// TEAM threads share the columns of an expert. All threads then rank the experts, and one picks the K best.
// Grid: (1, 1, 1).
override WIDTH: u32;
override BLOCKS: u32;  // runs of 32 weights in a row of W
override P1: u32;      // starts of the planes, in vec4 from the start of the tensor
override P2: u32;
override P3: u32;
override EPSILON: f32;
override EXPERTS: u32;
override K: u32;
override LOOKUP: bool;
override WORKGROUP: u32;  // a power of two, at least TEAM
override VECS: u32 = (WIDTH + 3u) / 4u;
override VEC_ROUNDS: u32 = (VECS + WORKGROUP - 1u) / WORKGROUP;
override TEAMS: u32 = WORKGROUP / TEAM;
override TEAM_ROUNDS: u32 = (EXPERTS + TEAMS - 1u) / TEAMS;
override RUN_ROUNDS: u32 = (BLOCKS + TEAM - 1u) / TEAM;
override KEY_ROUNDS: u32 = (EXPERTS + WORKGROUP - 1u) / WORKGROUP;

const TEAM = 32u;
const DECODE = true;

@group(0) @binding(0) var<storage, read_write> state: StepState;
@group(0) @binding(1) var<storage, read> residual: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> weights: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read_write> normed: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> logits: array<f32>;
@group(0) @binding(6) var<storage, read_write> selected_experts: array<u32>;
@group(0) @binding(7) var<storage, read_write> routing_weights: array<f32>;
@group(0) @binding(8) var<storage, read> slot_table: array<u32>;
@group(0) @binding(9) var<storage, read_write> work: ExpertGroups;
@group(0) @binding(10) var<uniform> layer: vec4<u32>;  // (layer, 0, 0, 0)

var<workgroup> idle: u32;
var<workgroup> token_logits: array<f32, EXPERTS>;
var<workgroup> token_keys: array<u32, EXPERTS>;

fn logit_at(token: u32, expert: u32) -> f32 {
  return token_logits[expert];
}

fn key_at(token: u32, expert: u32) -> u32 {
  return token_keys[expert];
}

fn norm(thread: u32) {
  var squares = vec4<f32>(0.0);
  for (var i = 0u; i < VEC_ROUNDS; i++) {
    let vec = i * WORKGROUP + thread;
    if (vec < VECS) {
      let x = residual[vec];
      squares += x * x;
    }
  }
  let scale = norm_scale(workgroup_total(dot(squares, vec4<f32>(1.0)), thread) / f32(WIDTH), EPSILON);
  for (var i = 0u; i < VEC_ROUNDS; i++) {
    let vec = i * WORKGROUP + thread;
    if (vec < VECS) {
      normed[vec] = residual[vec] * scale * norm_weights(vec);
    }
  }
  storageBarrier();
  workgroupBarrier();
}

// A run of 32 weights of an expert, multiplied with the input.
fn run_product(expert: u32, run: u32) -> f32 {
  let at = run * 8u;
  let x = Block32(
    normed[at], normed[at + 1u], normed[at + 2u], normed[at + 3u],
    normed[at + 4u], normed[at + 5u], normed[at + 6u], normed[at + 7u],
  );
  return dot32(block32(Planes(0u, P1, P2, P3), expert * BLOCKS + run), x);
}

fn score(thread: u32) {
  for (var round = 0u; round < TEAM_ROUNDS; round++) {
    let expert = round * TEAMS + thread / TEAM;
    var sum = 0.0;
    for (var i = 0u; i < RUN_ROUNDS; i++) {
      let run = i * TEAM + thread % TEAM;
      if (expert < EXPERTS && run < BLOCKS) {
        sum += run_product(expert, run);
      }
    }
    totals[thread] = sum;
    workgroupBarrier();
    if (expert < EXPERTS && thread % TEAM == 0u) {
      var logit = sum;
      for (var i = 1u; i < TEAM; i++) {
        logit += totals[thread + i];
      }
      token_logits[expert] = logit;
      logits[expert] = logit;
    }
    workgroupBarrier();
  }
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(local_invocation_index) thread: u32) {
  if (thread == 0u) {
    idle = select(0u, 1u, state.stalled != 0u || state.token_count == 0u);
  }
  if (workgroupUniformLoad(&idle) != 0u) {
    return;
  }
  norm(thread);
  score(thread);
  for (var i = 0u; i < KEY_ROUNDS; i++) {
    let expert = i * WORKGROUP + thread;
    if (expert < EXPERTS) {
      token_keys[expert] = rank_key(0u, expert);
    }
  }
  workgroupBarrier();
  if (thread == 0u) {
    select_experts(0u);
    if (LOOKUP) {
      look_up();
    }
  }
}
