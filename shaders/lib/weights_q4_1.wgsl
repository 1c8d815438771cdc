// Q4_1: w = d * q + m. Plane 0: 16 bytes as in Q4_0. Plane 1: d, m (f16 each).
fn run32(p: Planes, n: u32) -> Run32 {
  let q = weights[p.p0 + n];
  let scales = word_at(p.p1, n);
  return Run32(placed32(low_nibbles(q), high_nibbles(q)), half(scales & 0xffffu), half(scales >> 16u));
}
