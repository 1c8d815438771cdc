// IQ2_XS, blocks of 256: w = d * (1/2 + scale) / 4 * +-grid, a scale of 4 bits per 16 weights.
// Plane 0: 64 bytes, 2 per 8 weights: a grid index of 9 bits, 7 signs. Plane 1: 8 bytes of scales. Plane 2: d (f16).
fn run32(p: Planes, n: u32) -> Run32 {
  let words = words_at(p.p0, n);
  let quants = vec4<u32>(words.x & 0xffffu, words.x >> 16u, words.y & 0xffffu, words.y >> 16u);
  let at = quants & vec4<u32>(511u);
  let signs = even_signs(quants >> vec4<u32>(9u));
  let scales = byte_at(p.p1, n);
  let d = half_at(p.p2, n >> 3u) * (0.5 + vec2<f32>(vec2<u32>(scales & 15u, scales >> 4u))) * 0.25;
  return Run32(signed32(grid16(at.x, at.y), grid16(at.z, at.w), signs), d.x, d.y);
}
