// Q8_0: w = d * q, q a signed byte. Plane 0: 32 quants (2 vec4), plane 1: d (f16).
struct Run32 {
  quants: Block32,  // times BYTE_PLACES
  d: f32,
}

alias Input32 = Block32;

fn prepare(x: Block32) -> Input32 {
  return scaled32(x, INVERSE_BYTE_PLACES, INVERSE_BYTE_PLACES);
}

fn run32(p: Planes, n: u32) -> Run32 {
  let u = weights[p.p0 + n * 2u];
  let v = weights[p.p0 + n * 2u + 1u];
  let quants = Block32(
    placed_signed4(u.x), placed_signed4(u.y), placed_signed4(u.z), placed_signed4(u.w),
    placed_signed4(v.x), placed_signed4(v.y), placed_signed4(v.z), placed_signed4(v.w),
  );
  return Run32(quants, half_at(p.p1, n));
}

fn dot_run(w: Run32, x: Input32) -> f32 {
  return w.d * dot32(w.quants, x);
}

fn block32(p: Planes, n: u32) -> Block32 {
  let w = run32(p, n);
  let d = w.d * INVERSE_BYTE_PLACES;
  return scaled32(w.quants, d, d);
}
