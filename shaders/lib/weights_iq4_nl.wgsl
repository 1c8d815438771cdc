// IQ4_NL: w = d * value of q (lib/iq4_values.wgsl). Plane 0: 16 bytes as in Q4_0. Plane 1: d (f16).
fn run32(p: Planes, n: u32) -> Run32 {
  let q = weights[p.p0 + n];
  return Run32(placed_signed32(iq4_values(q), iq4_values(q >> vec4<u32>(4u))), half_at(p.p1, n));
}
