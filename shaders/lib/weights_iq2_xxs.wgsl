// IQ2_XXS, blocks of 256: w = d * (1/2 + scale) / 4 * +-grid, a scale of 4 bits per 32 weights.
// Plane 0: 64 bytes, 8 per 32 weights: four grid indices, then four groups of 7 signs, then the scale. Plane 1: d
// (f16).
fn run32(p: Planes, n: u32) -> Run32 {
  let quants = words_at(p.p0, n);
  let at = (vec4<u32>(quants.x) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(0xffu);
  let signs = even_signs((vec4<u32>(quants.y) >> vec4<u32>(0u, 7u, 14u, 21u)) & vec4<u32>(127u));
  let d = half_at(p.p1, n >> 3u) * (0.5 + f32(quants.y >> 28u)) * 0.25;
  return Run32(signed32(grid16(at.x, at.y), grid16(at.z, at.w), signs), d);
}
