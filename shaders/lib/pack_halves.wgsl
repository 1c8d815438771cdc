// Packs two f32 as f16, each rounded to the nearest, ties to even. In integers, because WGSL leaves the rounding of
// pack2x16float to the driver: some round toward zero, and keys and values would differ from machine to machine.
// Magnitudes above the range become the largest finite f16, 65504. NaN stays NaN.
fn half_bits(value: f32) -> u32 {
  let bits = bitcast<u32>(value);
  let sign = (bits >> 16u) & 0x8000u;
  let magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) {
    return sign | 0x7e00u;
  }
  if (magnitude >= 0x477fe000u) {  // 65504
    return sign | 0x7bffu;
  }
  if (magnitude >= 0x38800000u) {  // 2^-14: a normal f16, with 13 bits less and its exponent smaller by 112
    return sign | ((magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13u) & 1u)) >> 13u);
  }
  // A subnormal f16 is a multiple of 2^-24. Below 2^-25 the shift of 25 leaves nothing.
  let significand = (magnitude & 0x7fffffu) | 0x800000u;
  let shift = min(126u - (magnitude >> 23u), 25u);
  return sign | ((significand + (1u << (shift - 1u)) - 1u + ((significand >> shift) & 1u)) >> shift);
}

fn pack_halves(pair: vec2<f32>) -> u32 {
  return half_bits(pair.x) | (half_bits(pair.y) << 16u);
}
