// IQ4_XS, blocks of 256: w = d * (scale - 32) * value of q (lib/iq4_values.wgsl), a scale of 6 bits per 32 weights.
// Plane 0: 128 bytes, 16 per 32 weights as in Q4_0. Plane 1: 8 bytes: d (f16), then the 2 high bits of each scale, then
// the 4 low bits of each scale.
fn run32(p: Planes, n: u32) -> Run32 {
  let block = n >> 3u;
  let j = n & 7u;
  let header = words_at(p.p1, block);
  let scale = ((header.y >> (j * 4u)) & 15u) | (((header.x >> (16u + j * 2u)) & 3u) * 16u);
  let d = half(header.x & 0xffffu) * (f32(scale) - 32.0);
  let q = weights[p.p0 + n];
  return Run32(placed_signed32(iq4_values(q), iq4_values(q >> vec4<u32>(4u))), d);
}
