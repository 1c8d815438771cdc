// Binds the grid of an IQ3 type: entries of four bytes, one per weight.
@group(0) @binding(7) var<storage, read> grid: array<u32>;

// Four entries, which are 16 weights.
fn grid16(at: vec4<u32>) -> vec4<u32> {
  return vec4<u32>(grid[at.x], grid[at.y], grid[at.z], grid[at.w]);
}
