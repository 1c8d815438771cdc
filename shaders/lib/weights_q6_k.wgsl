// Q6_K, blocks of 256: w = d * scale * (q - 32), a signed 8-bit scale per 16 weights.
// Plane 0 (ql): 128 bytes, the 4 low bits. Plane 1 (qh): 64 bytes, the 2 high bits. Plane 2: 16 scales. Plane 3: d
// (f16). In each half of 128 weights, run r of 32 is nibble r >> 1 of the ql bytes from (r & 1) * 32 on, and bits 2r,
// 2r + 1 of qh.
fn six_bits(low: vec4<u32>, high: vec4<u32>) -> vec4<u32> {
  return low_nibbles(low) | ((high & vec4<u32>(0x03030303u)) * 16u);
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
  return Run32(centered32(u, v, 32.0), s, t);
}
