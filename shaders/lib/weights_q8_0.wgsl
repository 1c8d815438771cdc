// Q8_0: w = d * q, q a signed byte. Plane 0: 32 quants (2 vec4), plane 1: d (f16).
fn block32(p: Planes, n: u32) -> Block32 {
  let u = weights[p.p0 + n * 2u];
  let v = weights[p.p0 + n * 2u + 1u];
  let d = half_at(p.p1, n) * INVERSE_BYTE_PLACES;
  return Block32(
    d * placed_signed4(u.x), d * placed_signed4(u.y), d * placed_signed4(u.z), d * placed_signed4(u.w),
    d * placed_signed4(v.x), d * placed_signed4(v.y), d * placed_signed4(v.z), d * placed_signed4(v.w),
  );
}
