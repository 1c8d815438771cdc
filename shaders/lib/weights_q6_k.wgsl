// Q6_K, blocks of 256: w = d * scale * (q - 32), a signed 8-bit scale for each 16 weights.
// Plane 0 (ql): 128 bytes, 4 low bits; plane 1 (qh): 64 bytes, 2 high bits; plane 2: 16 scales; plane 3: d (f16).
// In each half of 128 weights, run r of 32 takes ql bytes (r & 1) * 32 .. at nibble r >> 1, and qh bits 2r.
struct Run32 {
  quants: Block32,  // times BYTE_PLACES
  s: f32,           // of the first half
  t: f32,           // of the second
}

alias Input32 = Block32;

fn prepare(x: Block32) -> Input32 {
  return scaled32(x, INVERSE_BYTE_PLACES, INVERSE_BYTE_PLACES);
}

fn six_bits(low: vec4<u32>, high: vec4<u32>) -> vec4<u32> {
  return (low & vec4<u32>(0x0f0f0f0fu)) | ((high & vec4<u32>(0x03030303u)) * 16u);
}

fn run32(p: Planes, n: u32) -> Run32 {
  let block = n >> 3u;
  let upper = (n >> 2u) & 1u;
  let r = n & 3u;
  let ql = p.p0 + block * 8u + upper * 4u + (r & 1u) * 2u;
  let qh = p.p1 + block * 4u + upper * 2u;
  let scales = weights[p.p2 + block][upper * 2u + (r >> 1u)] >> ((r & 1u) * 16u);
  let d = half_at(p.p3, block);
  let s = d * f32(bitcast<i32>(scales << 24u) >> 24u);
  let t = d * f32(bitcast<i32>(scales << 16u) >> 24u);
  let low = vec4<u32>((r >> 1u) * 4u);
  let high = vec4<u32>(r * 2u);
  let u = six_bits(weights[ql] >> low, weights[qh] >> high);
  let v = six_bits(weights[ql + 1u] >> low, weights[qh + 1u] >> high);
  let middle = 32.0 * BYTE_PLACES;
  let quants = Block32(
    placed4(u.x) - middle, placed4(u.y) - middle, placed4(u.z) - middle, placed4(u.w) - middle,
    placed4(v.x) - middle, placed4(v.y) - middle, placed4(v.z) - middle, placed4(v.w) - middle,
  );
  return Run32(quants, s, t);
}

fn dot_run(w: Run32, x: Input32) -> f32 {
  let q = w.quants;
  return w.s * dot16(q.a, q.b, q.c, q.d, x.a, x.b, x.c, x.d) + w.t * dot16(q.e, q.f, q.g, q.h, x.e, x.f, x.g, x.h);
}

fn block32(p: Planes, n: u32) -> Block32 {
  let w = run32(p, n);
  return scaled32(w.quants, w.s * INVERSE_BYTE_PLACES, w.t * INVERSE_BYTE_PLACES);
}
