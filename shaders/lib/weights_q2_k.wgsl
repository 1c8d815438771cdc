// Q2_K, blocks of 256: w = d * scale * q - dmin * min, scale and min of 4 bits per 16 weights.
// Plane 0: 64 bytes, 32 per half of 128 weights; run r of 32 is bits 2r and 2r + 1 of these bytes. Plane 1: 16 bytes,
// scales in the low nibbles, minima in the high nibbles. Plane 2: d, dmin (f16 each).
fn run32(p: Planes, n: u32) -> Run32 {
  let block = n >> 3u;
  let upper = (n >> 2u) & 1u;
  let r = n & 3u;
  let at = p.p0 + block * 4u + upper * 2u;
  let shift = vec4<u32>(r * 2u);
  let three = vec4<u32>(0x03030303u);
  let quants = placed32((weights[at] >> shift) & three, (weights[at + 1u] >> shift) & three);
  let packed = weights[p.p1 + block][upper * 2u + (r >> 1u)] >> ((r & 1u) * 16u);
  let factors = vec2<f32>(vec2<u32>(packed, packed >> 8u) & vec2<u32>(15u));
  let minima = vec2<f32>(vec2<u32>(packed >> 4u, packed >> 12u) & vec2<u32>(15u));
  let scales = word_at(p.p2, block);
  return Run32(quants, half(scales & 0xffffu) * factors, -half(scales >> 16u) * minima);
}

// Units of four runs: the bit pairs of the same 32 bytes (see product_staged.wgsl).
const UNIT_RUNS = 4u;

struct Unit {
  u: vec4<u32>,
  v: vec4<u32>,
  factors: vec2<u32>,  // scales and minima of two runs in each word
  d: vec2<f32>,        // d, -dmin
}

fn unit_at(p: Planes, n: u32) -> Unit {
  let block = n >> 1u;
  let upper = n & 1u;
  let packed = weights[p.p1 + block];
  let scales = word_at(p.p2, block);
  return Unit(
    weights[p.p0 + n * 2u], weights[p.p0 + n * 2u + 1u], vec2<u32>(packed[upper * 2u], packed[upper * 2u + 1u]),
    vec2<f32>(half(scales & 0xffffu), -half(scales >> 16u)),
  );
}

fn run_of(w: Unit, part: u32) -> Run32 {
  let shift = vec4<u32>(part * 2u);
  let three = vec4<u32>(0x03030303u);
  let packed = w.factors[part >> 1u] >> ((part & 1u) * 16u);
  let factors = vec2<f32>(vec2<u32>(packed, packed >> 8u) & vec2<u32>(15u));
  let minima = vec2<f32>(vec2<u32>(packed >> 4u, packed >> 12u) & vec2<u32>(15u));
  return Run32(placed32((w.u >> shift) & three, (w.v >> shift) & three), w.d.x * factors, w.d.y * minima);
}

fn run_of_unit(unit: u32, part: u32) -> u32 {
  return unit * 4u + part;
}
