// The work list of the expert kernels: which slots are applied to which assignments (pairs of a token and one of the K
// experts that its router selects). It must match workers/compute/gpu/ops/context.ts.
const MAX_GROUPS = 256u;
const NO_SLOT = 0xffffffffu;

struct ExpertGroups {
  groups: array<vec4<u32>, MAX_GROUPS>,  // (slot, first assignment, count, 0)
  assignments: array<u32>,               // token * experts_per_token + k
}
