// Q3_K, blocks of 256: w = d * (scale - 32) * (q - 4), a scale of 6 bits per 16 weights.
// Plane 0: 64 bytes of low bits as in Q2_K. Plane 1: 32 bytes; bit j of byte i is the third bit of weight i of run j.
// Plane 2: 12 bytes: 4 bits of scale i in byte i & 7, its 2 high bits in byte 8 + (i & 3). Plane 3: d (f16).

// The two scales of run j of a block, without d.
fn q3_scales(p: Planes, block: u32, j: u32) -> vec2<f32> {
  let packed = p.p2 * 4u + block * 3u;
  let half_word = (j & 1u) * 16u;
  let first = word_at(0u, packed + ((j >> 1u) & 1u)) >> (half_word + (j >> 2u) * 4u);
  let last = word_at(0u, packed + 2u) >> (half_word + (j >> 1u) * 2u);
  let scales = (vec2<u32>(first, first >> 8u) & vec2<u32>(15u)) | ((vec2<u32>(last, last >> 8u) & vec2<u32>(3u)) * 16u);
  return vec2<f32>(scales) - 32.0;
}

fn run32(p: Planes, n: u32) -> Run32 {
  let block = n >> 3u;
  let j = n & 7u;
  let ql = p.p0 + block * 4u + (j >> 2u) * 2u;
  let qh = p.p1 + block * 2u;
  let low = vec4<u32>((j & 3u) * 2u);
  let high = vec4<u32>(j);
  let three = vec4<u32>(0x03030303u);
  let u = ((weights[ql] >> low) & three) | (lowest_bits(weights[qh] >> high) * 4u);
  let v = ((weights[ql + 1u] >> low) & three) | (lowest_bits(weights[qh + 1u] >> high) * 4u);
  let d = half_at(p.p3, block) * q3_scales(p, block, j);
  return Run32(centered32(u, v, 4.0), d.x, d.y);
}

// Units of four runs: the bit pairs of the same 32 bytes (see product_staged.wgsl).
const UNIT_RUNS = 4u;

struct Unit {
  u: vec4<u32>,
  v: vec4<u32>,
  high_u: vec4<u32>,  // bits 0 .. 3: the third bits of the four runs
  high_v: vec4<u32>,
  d: array<vec2<f32>, 4>,
}

fn unit_at(p: Planes, n: u32) -> Unit {
  let block = n >> 1u;
  let j = (n & 1u) * 4u;
  let qh = p.p1 + block * 2u;
  let d = half_at(p.p3, block);
  return Unit(
    weights[p.p0 + n * 2u], weights[p.p0 + n * 2u + 1u],
    weights[qh] >> vec4<u32>(j), weights[qh + 1u] >> vec4<u32>(j),
    array<vec2<f32>, 4>(
      d * q3_scales(p, block, j), d * q3_scales(p, block, j + 1u),
      d * q3_scales(p, block, j + 2u), d * q3_scales(p, block, j + 3u),
    ),
  );
}

fn run_of(w: Unit, part: u32) -> Run32 {
  let low = vec4<u32>(part * 2u);
  let high = vec4<u32>(part);
  let three = vec4<u32>(0x03030303u);
  let u = ((w.u >> low) & three) | (lowest_bits(w.high_u >> high) * 4u);
  let v = ((w.v >> low) & three) | (lowest_bits(w.high_v >> high) * 4u);
  let d = w.d[part];
  return Run32(centered32(u, v, 4.0), d.x, d.y);
}

fn run_of_unit(unit: u32, part: u32) -> u32 {
  return unit * 4u + part;
}
