// The (scale, minimum) of run j of a block of Q4_K or Q5_K: 6 bits each, packed into 12 bytes per 8 runs of 32 weights.
// For j >= 4 the upper two bits are stored in the top bits of the first eight bytes.
fn scale_min(packed: vec3<u32>, j: u32) -> vec2<f32> {
  let shift = (j & 3u) * 8u;
  let low = vec2<u32>(packed.x >> shift, packed.y >> shift);
  let last = (packed.z >> shift) & 0xffu;
  let late = vec2<u32>((last & 15u) | ((low.x >> 2u) & 0x30u), (last >> 4u) | ((low.y >> 2u) & 0x30u));
  return vec2<f32>(select(low & vec2<u32>(63u), late, j >= 4u));
}
