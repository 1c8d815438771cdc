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

// Units of two runs: the low and the high nibbles of the same 32 bytes of ql, 64 weights apart (see
// product_staged.wgsl).
const UNIT_RUNS = 2u;

struct Unit {
  u: vec4<u32>,
  v: vec4<u32>,
  high_u: vec4<u32>,  // bits 0 and 1 of a byte belong to the first run, bits 4 and 5 to the second
  high_v: vec4<u32>,
  s: vec2<f32>,       // the scales of the first half of each run
  t: vec2<f32>,       // and of the second half
}

fn unit_at(p: Planes, n: u32) -> Unit {
  let block = n >> 2u;
  let upper = (n >> 1u) & 1u;
  let r = n & 1u;
  let ql = p.p0 + block * 8u + upper * 4u + r * 2u;
  let qh = p.p1 + block * 4u + upper * 2u;
  let packed = weights[p.p2 + block];
  let scales = vec2<u32>(packed[upper * 2u], packed[upper * 2u + 1u]) >> vec2<u32>(r * 16u);
  let d = half_at(p.p3, block);
  let shift = vec4<u32>(r * 2u);
  return Unit(
    weights[ql], weights[ql + 1u], weights[qh] >> shift, weights[qh + 1u] >> shift,
    d * vec2<f32>(bitcast<vec2<i32>>(scales << vec2<u32>(24u)) >> vec2<u32>(24u)),
    d * vec2<f32>(bitcast<vec2<i32>>(scales << vec2<u32>(16u)) >> vec2<u32>(24u)),
  );
}

fn run_of(w: Unit, part: u32) -> Run32 {
  let shift = vec4<u32>(part * 4u);
  let u = six_bits(w.u >> shift, w.high_u >> shift);
  let v = six_bits(w.v >> shift, w.high_v >> shift);
  return Run32(centered32(u, v, 32.0), w.s[part], w.t[part]);
}

fn run_of_unit(unit: u32, part: u32) -> u32 {
  return (unit >> 1u) * 4u + (unit & 1u) + part * 2u;
}
