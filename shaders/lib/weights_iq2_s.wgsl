// IQ2_S, blocks of 256: w = d * (1/2 + scale) / 4 * +-grid, a scale of 4 bits per 16 weights.
// Plane 0: 64 bytes: the low 8 bits of 32 grid indices, then 32 bytes of signs. Plane 1: 16 bytes: the 2 high bits of
// each index, then the scales. Plane 2: d (f16).
fn run32(p: Planes, n: u32) -> Run32 {
  let block = n >> 3u;
  let j = n & 7u;
  let low = word_at(p.p0, block * 16u + j);
  let signs = word_at(p.p0, block * 16u + 8u + j);
  let packed = weights[p.p1 + block];
  let shift = (j & 3u) * 8u;
  let high = vec4<u32>(packed[j >> 2u] >> shift) >> vec4<u32>(0u, 2u, 4u, 6u);
  let at = ((vec4<u32>(low) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(0xffu)) | ((high & vec4<u32>(3u)) * 256u);
  let scales = packed[2u + (j >> 2u)] >> shift;
  let d = half_at(p.p2, block) * (0.5 + vec2<f32>(vec2<u32>(scales, scales >> 4u) & vec2<u32>(15u))) * 0.25;
  return Run32(signed32(grid16(at.x, at.y), grid16(at.z, at.w), signs), d.x, d.y);
}
