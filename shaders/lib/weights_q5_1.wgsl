// Q5_1: w = d * q + m. Plane 0: 16 bytes of low bits as in Q4_0. Plane 1: 4 bytes; bit j is the fifth bit of weight j.
// Plane 2: d, m (f16 each).
fn run32(p: Planes, n: u32) -> Run32 {
  let q = weights[p.p0 + n];
  let fifth = vec4<u32>(word_at(p.p1, n)) >> vec4<u32>(0u, 4u, 8u, 12u);
  let u = low_nibbles(q) | (bits_to_bytes(fifth) * 16u);
  let v = high_nibbles(q) | (bits_to_bytes(fifth >> vec4<u32>(16u)) * 16u);
  let scales = word_at(p.p2, n);
  return Run32(placed32(u, v), half(scales & 0xffffu), half(scales >> 16u));
}
