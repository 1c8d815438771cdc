// IQ3_S, blocks of 256: w = d * (1 + 2 * scale) * +-grid, a scale of 4 bits per 32 weights.
// Plane 0: 64 bytes, the low 8 bits of a grid index per 4 weights. Plane 1: 36 bytes: 32 of signs, then the scales.
// Plane 2: 8 bytes, the high bit of each index. Plane 3: d (f16).
fn run32(p: Planes, n: u32) -> Run32 {
  let block = n >> 3u;
  let j = n & 7u;
  let quants = words_at(p.p0, n);
  let high = vec4<u32>(byte_at(p.p2, n));
  let shifts = vec4<u32>(0u, 8u, 16u, 24u);
  let bits = vec4<u32>(0u, 1u, 2u, 3u);
  let first = ((vec4<u32>(quants.x) >> shifts) & vec4<u32>(0xffu)) | (((high >> bits) & vec4<u32>(1u)) * 256u);
  let second = ((vec4<u32>(quants.y) >> shifts) & vec4<u32>(0xffu)) | (((high >> (bits + 4u)) & vec4<u32>(1u)) * 256u);
  let signs = word_at(p.p1, block * 9u + j);
  let scale = (word_at(p.p1, block * 9u + 8u) >> (j * 4u)) & 15u;
  let d = half_at(p.p3, block) * f32(1u + 2u * scale);
  return Run32(signed32(grid16(first), grid16(second), signs), d);
}
