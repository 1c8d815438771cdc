// Runs of IQ1: -1, 0 or 1 from the grid, plus or minus 1/8 per 8 weights. The grid stores 8 * (1 + value). Expects
// lib/weights.wgsl and lib/grid_of_8.wgsl.

// Eight times the weights of the grid entries `at`. Where bit 0 of `minus` is set, 1/8 is subtracted, otherwise added.
fn shifted32(at: vec4<u32>, minus: vec4<u32>) -> Block32 {
  let first = grid16(at.x, at.y);
  let second = grid16(at.z, at.w);
  let middle = 7.0 + 2.0 * vec4<f32>(minus & vec4<u32>(1u));
  let a = middle.x * BYTE_PLACES;
  let b = middle.y * BYTE_PLACES;
  let c = middle.z * BYTE_PLACES;
  let d = middle.w * BYTE_PLACES;
  return Block32(
    placed4(first.x) - a, placed4(first.y) - a, placed4(first.z) - b, placed4(first.w) - b,
    placed4(second.x) - c, placed4(second.y) - c, placed4(second.z) - d, placed4(second.w) - d,
  );
}
