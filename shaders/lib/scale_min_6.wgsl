// Scales and minima of Q4_K and Q5_K: 6 bits each for each 32 weights, packed into 12 bytes.
// (scale, min) of run j of a block; the upper bits of j >= 4 lie in the top of the first eight bytes.
fn scale_min(packed: vec3<u32>, j: u32) -> vec2<f32> {
  let shift = (j & 3u) * 8u;
  let low = vec2<u32>(packed.x >> shift, packed.y >> shift);
  let last = (packed.z >> shift) & 0xffu;
  let late = vec2<u32>((last & 15u) | ((low.x >> 2u) & 0x30u), (last >> 4u) | ((low.y >> 2u) & 0x30u));
  return vec2<f32>(select(low & vec2<u32>(63u), late, j >= 4u));
}
