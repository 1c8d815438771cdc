// F16. Plane 0: 4 vec4 per 32 weights, two weights per word, the first in the low half.
fn halves(low: u32, high: u32) -> vec4<f32> {
  return half4(vec4<u32>(low & 0xffffu, low >> 16u, high & 0xffffu, high >> 16u));
}

fn block32(p: Planes, n: u32) -> Block32 {
  let at = p.p0 + n * 4u;
  let u = weights[at];
  let v = weights[at + 1u];
  let w = weights[at + 2u];
  let x = weights[at + 3u];
  return Block32(
    halves(u.x, u.y), halves(u.z, u.w), halves(v.x, v.y), halves(v.z, v.w),
    halves(w.x, w.y), halves(w.z, w.w), halves(x.x, x.y), halves(x.z, x.w),
  );
}
