// Q4_0: w = d * (q - 8). Plane 0: 16 bytes; byte j holds weight j (low nibble) and weight j + 16. Plane 1: d (f16).
fn run32(p: Planes, n: u32) -> Run32 {
  let q = weights[p.p0 + n];
  return Run32(centered32(low_nibbles(q), high_nibbles(q), 8.0), half_at(p.p1, n));
}
