// Q6_K, blocks of 256: w = d * scale * (q - 32), a signed 8-bit scale for each 16 weights.
// Plane 0 (ql): 128 bytes, 4 low bits; plane 1 (qh): 64 bytes, 2 high bits; plane 2: 16 scales; plane 3: d (f16).
// In each half of 128 weights, run r of 32 takes ql bytes (r & 1) * 32 .. at nibble r >> 1, and qh bits 2r.
fn six_bits(low: u32, high: u32, low_shift: u32, high_shift: u32) -> vec4<f32> {
  return bytes4(low, low_shift, 15u) + 16.0 * bytes4(high, high_shift, 3u) - 32.0;
}

fn block32(p: Planes, n: u32) -> Block32 {
  let block = n >> 3u;
  let upper = (n >> 2u) & 1u;
  let r = n & 3u;
  let ql = p.p0 + block * 8u + upper * 4u + (r & 1u) * 2u;
  let qh = p.p1 + block * 4u + upper * 2u;
  let scales = weights[p.p2 + block][upper * 2u + (r >> 1u)] >> ((r & 1u) * 16u);
  let d = half_at(p.p3, block);
  let s = d * f32(bitcast<i32>(scales << 24u) >> 24u);
  let t = d * f32(bitcast<i32>(scales << 16u) >> 24u);
  let u = weights[ql];
  let v = weights[ql + 1u];
  let x = weights[qh];
  let y = weights[qh + 1u];
  let l = (r >> 1u) * 4u;
  let h = r * 2u;
  return Block32(
    s * six_bits(u.x, x.x, l, h), s * six_bits(u.y, x.y, l, h), s * six_bits(u.z, x.z, l, h), s * six_bits(u.w, x.w, l, h),
    t * six_bits(v.x, y.x, l, h), t * six_bits(v.y, y.y, l, h), t * six_bits(v.z, y.z, l, h), t * six_bits(v.w, y.w, l, h),
  );
}
