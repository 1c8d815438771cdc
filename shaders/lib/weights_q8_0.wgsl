// Q8_0: w = d * q, with q a signed byte. Plane 0: 32 quants (2 vec4). Plane 1: d (f16).
fn run32(p: Planes, n: u32) -> Run32 {
  return Run32(placed_signed32(weights[p.p0 + n * 2u], weights[p.p0 + n * 2u + 1u]), half_at(p.p1, n));
}
