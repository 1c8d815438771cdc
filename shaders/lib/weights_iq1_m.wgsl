// IQ1_M, blocks of 256: w = d * (1 + 2 * scale) * (grid +- 1/8), a scale of 3 bits per 16 weights, a sign of the 1/8
// per 8. Plane 0: 32 bytes, the low 8 bits of a grid index per 8 weights. Plane 1: 16 bytes, a nibble per 8 weights:
// the 3 high bits of the index and the sign. Plane 2: 8 bytes, four 16-bit words of four scales each, whose top bits
// form d (f16).
fn run32(p: Planes, n: u32) -> Run32 {
  let block = n >> 3u;
  let j = n & 7u;
  let low = vec4<u32>(word_at(p.p0, n)) >> vec4<u32>(0u, 8u, 16u, 24u);
  let high = vec4<u32>(short_at(p.p1, n)) >> vec4<u32>(0u, 4u, 8u, 12u);
  let at = (low & vec4<u32>(0xffu)) | ((high & vec4<u32>(7u)) * 256u);
  let packed = words_at(p.p2, block);
  let top = (packed >> vec2<u32>(12u)) & vec2<u32>(15u);
  let d = half(top.x | ((packed.x >> 24u) & 0xf0u) | (top.y << 8u) | ((packed.y >> 16u) & 0xf000u)) * 0.125;
  let scales = select(packed.x, packed.y, j >= 4u) >> (((j >> 1u) & 1u) * 16u + (j & 1u) * 6u);
  let factors = d * vec2<f32>(1u + 2u * (vec2<u32>(scales, scales >> 3u) & vec2<u32>(7u)));
  return Run32(shifted32(at, high >> vec4<u32>(3u)), factors.x, factors.y);
}
