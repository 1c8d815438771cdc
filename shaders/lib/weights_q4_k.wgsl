// Q4_K, blocks of 256: w = d * scale * q - dmin * min, scale and min of 6 bits for each 32 weights.
// Plane 0: 128 bytes of quants; 32 bytes hold 64 weights, the first 32 in the low nibbles.
// Plane 1: one vec4: d and dmin (f16), then 12 bytes of packed scales and mins.

// (scale, min) of run j of 32 weights; the upper bits of j >= 4 lie in the top of the first eight bytes.
fn scale_min(packed: vec3<u32>, j: u32) -> vec2<f32> {
  let shift = (j & 3u) * 8u;
  let low = vec2<u32>(packed.x >> shift, packed.y >> shift);
  let last = (packed.z >> shift) & 0xffu;
  let late = vec2<u32>((last & 15u) | ((low.x >> 2u) & 0x30u), (last >> 4u) | ((low.y >> 2u) & 0x30u));
  return vec2<f32>(select(low & vec2<u32>(63u), late, j >= 4u));
}

fn block32(p: Planes, n: u32) -> Block32 {
  let block = n >> 3u;
  let j = n & 7u;
  let header = weights[p.p1 + block];
  let factors = scale_min(header.yzw, j);
  let d = half(header.x & 0xffffu) * factors.x * INVERSE_BYTE_PLACES;
  let m = half(header.x >> 16u) * factors.y;
  let at = p.p0 + block * 8u + (j >> 1u) * 2u;
  let shift = vec4<u32>((j & 1u) * 4u);
  let u = (weights[at] >> shift) & vec4<u32>(0x0f0f0f0fu);
  let v = (weights[at + 1u] >> shift) & vec4<u32>(0x0f0f0f0fu);
  return Block32(
    d * placed4(u.x) - m, d * placed4(u.y) - m, d * placed4(u.z) - m, d * placed4(u.w) - m,
    d * placed4(v.x) - m, d * placed4(v.y) - m, d * placed4(v.z) - m, d * placed4(v.w) - m,
  );
}
