// Q5_0: w = d * (q - 16). Plane 0: 16 bytes of low bits as in Q4_0. Plane 1: 4 bytes; bit j is the fifth bit of weight
// j. Plane 2: d (f16).
fn run32(p: Planes, n: u32) -> Run32 {
  let q = weights[p.p0 + n];
  let fifth = vec4<u32>(word_at(p.p1, n)) >> vec4<u32>(0u, 4u, 8u, 12u);
  let u = low_nibbles(q) | (bits_to_bytes(fifth) * 16u);
  let v = high_nibbles(q) | (bits_to_bytes(fifth >> vec4<u32>(16u)) * 16u);
  return Run32(centered32(u, v, 16.0), half_at(p.p2, n));
}
