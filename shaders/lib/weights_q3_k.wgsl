// Q3_K, blocks of 256: w = d * (scale - 32) * (q - 4), a scale of 6 bits per 16 weights.
// Plane 0: 64 bytes of low bits as in Q2_K. Plane 1: 32 bytes; bit j of byte i is the third bit of weight i of run j.
// Plane 2: 12 bytes: 4 bits of scale i in byte i & 7, its 2 high bits in byte 8 + (i & 3). Plane 3: d (f16).
fn run32(p: Planes, n: u32) -> Run32 {
  let block = n >> 3u;
  let j = n & 7u;
  let ql = p.p0 + block * 4u + (j >> 2u) * 2u;
  let qh = p.p1 + block * 2u;
  let low = vec4<u32>((j & 3u) * 2u);
  let high = vec4<u32>(j);
  let three = vec4<u32>(0x03030303u);
  let u = ((weights[ql] >> low) & three) | (lowest_bits(weights[qh] >> high) * 4u);
  let v = ((weights[ql + 1u] >> low) & three) | (lowest_bits(weights[qh + 1u] >> high) * 4u);
  let packed = p.p2 * 4u + block * 3u;
  let half_word = (j & 1u) * 16u;
  let first = word_at(0u, packed + ((j >> 1u) & 1u)) >> (half_word + (j >> 2u) * 4u);
  let last = word_at(0u, packed + 2u) >> (half_word + (j >> 1u) * 2u);
  let scales = (vec2<u32>(first, first >> 8u) & vec2<u32>(15u)) | ((vec2<u32>(last, last >> 8u) & vec2<u32>(3u)) * 16u);
  let d = half_at(p.p3, block) * (vec2<f32>(scales) - 32.0);
  return Run32(centered32(u, v, 4.0), d.x, d.y);
}
