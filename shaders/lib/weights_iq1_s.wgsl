// IQ1_S, blocks of 256: w = d * (1 + 2 * scale) * (grid +- 1/8), a scale of 3 bits and a sign of the 1/8 per 32
// weights. Plane 0: 32 bytes, the low 8 bits of a grid index per 8 weights. Plane 1: 16 bytes, 2 per 32 weights: the 3
// high bits of four indices, the scale, the sign. Plane 2: d (f16).
fn run32(p: Planes, n: u32) -> Run32 {
  let low = vec4<u32>(word_at(p.p0, n)) >> vec4<u32>(0u, 8u, 16u, 24u);
  let packed = short_at(p.p1, n);
  let high = (vec4<u32>(packed) >> vec4<u32>(0u, 3u, 6u, 9u)) & vec4<u32>(7u);
  let d = half_at(p.p2, n >> 3u) * f32(1u + 2u * ((packed >> 12u) & 7u)) * 0.125;
  return Run32(shifted32((low & vec4<u32>(0xffu)) | (high * 256u), vec4<u32>(packed >> 15u)), d);
}
