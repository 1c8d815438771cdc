// Q5_K, blocks of 256: w = d * scale * q - dmin * min, scale and min of 6 bits per 32 weights.
// Plane 0: 128 bytes of low bits as in Q4_K. Plane 1: 32 bytes; bit j of byte i is the fifth bit of weight i of run j.
// Plane 2: d, dmin, scales and minima as in Q4_K.
fn run32(p: Planes, n: u32) -> Run32 {
  let block = n >> 3u;
  let j = n & 7u;
  let header = weights[p.p2 + block];
  let factors = scale_min(header.yzw, j);
  let at = p.p0 + block * 8u + (j >> 1u) * 2u;
  let qh = p.p1 + block * 2u;
  let shift = vec4<u32>((j & 1u) * 4u);
  let high = vec4<u32>(j);
  let u = low_nibbles(weights[at] >> shift) | (lowest_bits(weights[qh] >> high) * 16u);
  let v = low_nibbles(weights[at + 1u] >> shift) | (lowest_bits(weights[qh + 1u] >> high) * 16u);
  return Run32(placed32(u, v), half(header.x & 0xffffu) * factors.x, -half(header.x >> 16u) * factors.y);
}

// Units of two runs: the low and the high nibbles of the same 32 bytes (see product_staged.wgsl).
const UNIT_RUNS = 2u;

struct Unit {
  u: vec4<u32>,
  v: vec4<u32>,
  high_u: vec4<u32>,  // bits 0 and 1: the fifth bits of the two runs
  high_v: vec4<u32>,
  d: vec2<f32>,  // of each run
  m: vec2<f32>,
}

fn unit_at(p: Planes, n: u32) -> Unit {
  let block = n >> 2u;
  let header = weights[p.p2 + block];
  let j = (n & 3u) * 2u;
  let first = scale_min(header.yzw, j);
  let second = scale_min(header.yzw, j + 1u);
  let at = p.p0 + n * 2u;
  let qh = p.p1 + block * 2u;
  return Unit(
    weights[at], weights[at + 1u], weights[qh] >> vec4<u32>(j), weights[qh + 1u] >> vec4<u32>(j),
    half(header.x & 0xffffu) * vec2<f32>(first.x, second.x), -half(header.x >> 16u) * vec2<f32>(first.y, second.y),
  );
}

fn run_of(w: Unit, part: u32) -> Run32 {
  let shift = vec4<u32>(part * 4u);
  let u = low_nibbles(w.u >> shift) | (lowest_bits(w.high_u >> vec4<u32>(part)) * 16u);
  let v = low_nibbles(w.v >> shift) | (lowest_bits(w.high_v >> vec4<u32>(part)) * 16u);
  return Run32(placed32(u, v), w.d[part], w.m[part]);
}

fn run_of_unit(unit: u32, part: u32) -> u32 {
  return unit * 2u + part;
}
