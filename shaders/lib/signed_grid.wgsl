// Runs of IQ2 and IQ3: magnitudes from a grid, signs from bits. Expects lib/weights.wgsl.

// Four bytes of 1 .. 127, negated where bits 0 .. 3 of `signs` are set.
fn with_signs(magnitudes: vec4<u32>, signs: vec4<u32>) -> vec4<u32> {
  let minus = bits_to_bytes(signs);
  return (magnitudes ^ (minus * 255u)) + minus;
}

// The signs of 32 weights from four groups of seven bits. The eighth sign of a group makes its number of minus signs
// even.
fn even_signs(sevens: vec4<u32>) -> u32 {
  let odd = countOneBits(sevens) & vec4<u32>(1u);
  let eights = sevens | (odd << vec4<u32>(7u));
  return eights.x | (eights.y << 8u) | (eights.z << 16u) | (eights.w << 24u);
}

// `first` and `second` hold the magnitudes of 16 weights each. Bit i of `signs` is the sign of weight i.
fn signed32(first: vec4<u32>, second: vec4<u32>, signs: u32) -> Block32 {
  let shifts = vec4<u32>(0u, 4u, 8u, 12u);
  return placed_signed32(
    with_signs(first, vec4<u32>(signs) >> shifts), with_signs(second, vec4<u32>(signs >> 16u) >> shifts),
  );
}
