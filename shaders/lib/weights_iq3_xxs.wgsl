// IQ3_XXS, blocks of 256: w = d * (1/2 + scale) / 2 * +-grid, a scale of 4 bits per 32 weights.
// Plane 0: 64 bytes, a grid index per 4 weights. Plane 1: 32 bytes, 4 per 32 weights: four groups of 7 signs, then the
// scale. Plane 2: d (f16).
fn run32(p: Planes, n: u32) -> Run32 {
  let quants = words_at(p.p0, n);
  let packed = word_at(p.p1, n);
  let shifts = vec4<u32>(0u, 8u, 16u, 24u);
  let first = (vec4<u32>(quants.x) >> shifts) & vec4<u32>(0xffu);
  let second = (vec4<u32>(quants.y) >> shifts) & vec4<u32>(0xffu);
  let signs = even_signs((vec4<u32>(packed) >> vec4<u32>(0u, 7u, 14u, 21u)) & vec4<u32>(127u));
  let d = half_at(p.p2, n >> 3u) * (0.5 + f32(packed >> 28u)) * 0.5;
  return Run32(signed32(grid16(first), grid16(second), signs), d);
}
