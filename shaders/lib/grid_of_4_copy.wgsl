// The grid of an IQ3 type in workgroup memory: entries of four bytes, one per weight. Expects the constant GRID_ENTRIES
// and the override WORKGROUP.
@group(0) @binding(7) var<storage, read> stored_grid: array<u32>;
var<workgroup> grid: array<u32, GRID_ENTRIES>;
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

// Four entries, which are 16 weights.
fn grid16(at: vec4<u32>) -> vec4<u32> {
  return vec4<u32>(grid[at.x], grid[at.y], grid[at.z], grid[at.w]);
}
