// Finds the work of one workgroup of an expert kernel of the variant `rows`. Expects lib/groups.wgsl, the bindings
// `state` and `expert_groups`, and the override TILE.

// (first slot, slots, first workgroup): the part of the slots that is bound, and where the rows of this call start.
@group(0) @binding(5) var<uniform> bank: vec4<u32>;

struct Work {
  slot: u32,             // index within the bank
  count: u32,            // assignments in this tile; 0: no work
  assignments: vec4<u32>,  // beyond `count` the last one is repeated
}

fn find_work(group: u32, tile: u32) -> Work {
  let header = expert_groups.groups[group];
  let first = tile * TILE;
  // For slots before the bank the difference wraps around to a large number. NO_SLOT stays beyond the bank as well.
  let slot = header.x - bank.x;
  if (state.stalled != 0u || slot >= bank.y || first >= header.z) {
    return Work(0u, 0u, vec4<u32>());
  }
  let count = min(TILE, header.z - first);
  var assignments: vec4<u32>;
  for (var i = 0u; i < 4u; i++) {
    assignments[i] = expert_groups.assignments[header.y + first + min(i, count - 1u)];
  }
  return Work(slot, count, assignments);
}

fn silu(v: f32) -> f32 {
  return v / (1.0 + exp(-v));
}
