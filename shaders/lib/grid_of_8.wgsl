// A table of groups of eight bytes, for the IQ types.
@group(0) @binding(7) var<storage, read> grid: array<vec2<u32>>;

// Two entries: 16 weights.
fn grid16(a: u32, b: u32) -> vec4<u32> {
  return vec4<u32>(grid[a], grid[b]);
}
