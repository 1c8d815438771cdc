// Binds the grid of an IQ1 or IQ2 type: entries of eight bytes, one per weight.
@group(0) @binding(7) var<storage, read> grid: array<vec2<u32>>;

// Two entries, which are 16 weights.
fn grid16(a: u32, b: u32) -> vec4<u32> {
  return vec4<u32>(grid[a], grid[b]);
}
