// Q5_K, blocks of 256: w = d * scale * q - dmin * min, scale and min of 6 bits per 32 weights.
// Plane 0: 128 bytes of low bits as in Q4_K. Plane 1: 32 bytes; bit j of byte i is the fifth bit of weight i of run j.
// Plane 2: d, dmin, scales and minima as in Q4_K.
fn run32(p: Planes, n: u32) -> Run32 {
  let block = n >> 3u;
  let j = n & 7u;
  let header = weights[p.p2 + block];
  let factors = scale_min(header.yzw, j);
  let at = p.p0 + block * 8u + (j >> 1u) * 2u;
  let qh = p.p1 + block * 2u;
  let shift = vec4<u32>((j & 1u) * 4u);
  let high = vec4<u32>(j);
  let u = low_nibbles(weights[at] >> shift) | (lowest_bits(weights[qh] >> high) * 16u);
  let v = low_nibbles(weights[at + 1u] >> shift) | (lowest_bits(weights[qh + 1u] >> high) * 16u);
  return Run32(placed32(u, v), half(header.x & 0xffffu) * factors.x, -half(header.x >> 16u) * factors.y);
}
