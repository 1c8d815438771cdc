// Four rows of a matrix, for the variant `workgroup`. Expects row_count() and the override BLOCKS.
override WORKGROUP: u32;   // a power of two
override ITERATIONS: u32;  // BLOCKS / WORKGROUP, rounded up
override SUM_STEPS: u32;   // the logarithm of WORKGROUP to base 2

// The first runs of the four rows from `first` on. Beyond the last row that row is repeated; those sums are not stored.
fn four_rows(first: u32) -> vec4<u32> {
  return min(vec4<u32>(first) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(row_count() - 1u)) * BLOCKS;
}
