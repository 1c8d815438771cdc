// Finds the work of one workgroup of an expert kernel of the variant `rows`. Expects lib/groups.wgsl, the bindings
// `state` and `expert_groups`, and the override TILE.

// The part of the slots that is bound, and what differs from bank to bank. As overrides, each shape would need a pipeline
// of its own.
struct ExpertShape {
  first_slot: u32,
  slots: u32,
  rows: u32,
  runs: u32,         // runs of 32 weights in a row
  slot_stride: u32,  // in vec4
  k: u32,            // assignments per input row
  in_stride: u32,    // in vec4
  out_stride: u32,   // in f32
  planes: vec4<u32>,     // starts of the planes of the matrix, or of gate, in vec4 from the start of the slot
  up_planes: vec4<u32>,  // of up, if it is multiplied as well
  first_group: u32,      // the workgroup with which the rows of this call start
}

@group(0) @binding(5) var<uniform> shape: ExpertShape;

fn runs_per_row() -> u32 {
  return shape.runs;
}

fn planes_at(base: u32, starts: vec4<u32>) -> Planes {
  return Planes(base + starts.x, base + starts.y, base + starts.z, base + starts.w);
}

struct Work {
  slot: u32,             // index within the bank
  count: u32,            // assignments in this tile; 0: no work
  assignments: vec4<u32>,  // beyond `count` the last one is repeated
}

fn find_work(group: u32, tile: u32) -> Work {
  let header = expert_groups.groups[group];
  let first = tile * TILE;
  // For slots before the bank the difference wraps around to a large number. NO_SLOT stays beyond the bank as well.
  let slot = header.x - shape.first_slot;
  if (state.stalled != 0u || slot >= shape.slots || first >= header.z) {
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
