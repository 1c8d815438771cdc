// MXFP4: w = 2^(e - 127) * q, with q a 4-bit float: 1 sign bit, 2 exponent bits, 1 mantissa bit (E2M1).
// Plane 0: 16 bytes as in Q4_0. Plane 1: e, one byte. For e = 0 the scale 2^-127 is subnormal and becomes 0.

// 12 + 2 * value, in bytes. The values are 0, 1/2, 1, 3/2, 2, 3, 4, 6 and their negatives.
fn biased_e2m1(q: vec4<u32>) -> vec4<u32> {
  let low = lowest_bits(q >> vec4<u32>(1u));
  let high = lowest_bits(q >> vec4<u32>(2u));
  // The mantissa with its hidden bit, multiplied by 1, 2 or 4.
  let mantissa = lowest_bits(q) | ((low | high) * 2u);
  let magnitude = mantissa + (mantissa & (high * 255u)) + ((mantissa * 2u) & ((low & high) * 255u));
  let negative = magnitude & (lowest_bits(q >> vec4<u32>(3u)) * 255u);
  return vec4<u32>(0x0c0c0c0cu) + magnitude - negative * 2u;
}

fn run32(p: Planes, n: u32) -> Run32 {
  let q = weights[p.p0 + n];
  let quants = centered32(biased_e2m1(low_nibbles(q)), biased_e2m1(high_nibbles(q)), 12.0);
  return Run32(quants, 0.5 * bitcast<f32>(byte_at(p.p1, n) << 23u));
}
