// BF16: the upper half of an f32. Plane 0: 4 vec4 per 32 weights; the first weight of a word is in its low half.
fn upper_halves(low: u32, high: u32) -> vec4<f32> {
  return bitcast<vec4<f32>>(vec4<u32>(low * 65536u, low & 0xffff0000u, high * 65536u, high & 0xffff0000u));
}

fn block32(p: Planes, n: u32) -> Block32 {
  let at = p.p0 + n * 4u;
  let u = weights[at];
  let v = weights[at + 1u];
  let w = weights[at + 2u];
  let x = weights[at + 3u];
  return Block32(
    upper_halves(u.x, u.y), upper_halves(u.z, u.w), upper_halves(v.x, v.y), upper_halves(v.z, v.w),
    upper_halves(w.x, w.y), upper_halves(w.z, w.w), upper_halves(x.x, x.y), upper_halves(x.z, x.w),
  );
}
