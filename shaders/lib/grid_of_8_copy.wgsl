// The grid of an IQ2 type in workgroup memory: entries of eight bytes, one per weight. Expects the constant
// GRID_ENTRIES and the override WORKGROUP.
@group(0) @binding(7) var<storage, read> stored_grid: array<vec2<u32>>;
var<workgroup> grid: array<vec2<u32>, GRID_ENTRIES>;
override GRID_LOADS: u32;  // GRID_ENTRIES / WORKGROUP, rounded up

fn load_grid(thread: u32) {
  for (var i = 0u; i < GRID_LOADS; i++) {
    let n = i * WORKGROUP + thread;
    if (n < GRID_ENTRIES) {
      grid[n] = stored_grid[n];
    }
  }
  workgroupBarrier();
}

// Two entries, which are 16 weights.
fn grid16(a: u32, b: u32) -> vec4<u32> {
  return vec4<u32>(grid[a], grid[b]);
}
