// Q4_K, blocks of 256: w = d * scale * q - dmin * min, scale and min of 6 bits per 32 weights.
// Plane 0: 128 bytes of quants; 32 bytes hold 64 weights, the first 32 in the low nibbles.
// Plane 1: one vec4: d and dmin (f16 each), then 12 bytes of packed scales and minima.
fn run32(p: Planes, n: u32) -> Run32 {
  let block = n >> 3u;
  let j = n & 7u;
  let header = weights[p.p1 + block];
  let factors = scale_min(header.yzw, j);
  let at = p.p0 + block * 8u + (j >> 1u) * 2u;
  let shift = vec4<u32>((j & 1u) * 4u);
  let quants = placed32(low_nibbles(weights[at] >> shift), low_nibbles(weights[at + 1u] >> shift));
  return Run32(quants, half(header.x & 0xffffu) * factors.x, -half(header.x >> 16u) * factors.y);
}

// Units of two runs: the low and the high nibbles of the same 32 bytes (see product_staged.wgsl).
const UNIT_RUNS = 2u;

struct Unit {
  u: vec4<u32>,
  v: vec4<u32>,
  d: vec2<f32>,  // of each run
  m: vec2<f32>,
}

fn unit_at(p: Planes, n: u32) -> Unit {
  let header = weights[p.p1 + (n >> 2u)];
  let j = (n & 3u) * 2u;
  let first = scale_min(header.yzw, j);
  let second = scale_min(header.yzw, j + 1u);
  let at = p.p0 + n * 2u;
  return Unit(
    weights[at], weights[at + 1u],
    half(header.x & 0xffffu) * vec2<f32>(first.x, second.x), -half(header.x >> 16u) * vec2<f32>(first.y, second.y),
  );
}

fn run_of(w: Unit, part: u32) -> Run32 {
  let shift = vec4<u32>(part * 4u);
  return Run32(placed32(low_nibbles(w.u >> shift), low_nibbles(w.v >> shift)), w.d[part], w.m[part]);
}

fn run_of_unit(unit: u32, part: u32) -> u32 {
  return unit * 2u + part;
}
