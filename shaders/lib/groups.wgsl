// Which expert slots work on which (token, choice) pairs; mirrors workers/compute/gpu/ops/context.ts.
const MAX_GROUPS = 256u;
const NO_SLOT = 0xffffffffu;

struct ExpertGroups {
  groups: array<vec4<u32>, MAX_GROUPS>,  // (slot, first assignment, count, 0)
  assignments: array<u32>,               // token * experts_per_token + k
}
