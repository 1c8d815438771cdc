// Q4_K, blocks of 256: w = d * scale * q - dmin * min, scale and min of 6 bits per 32 weights.
// Plane 0: 128 bytes of quants; 32 bytes hold 64 weights, the first 32 in the low nibbles.
// Plane 1: one vec4: d and dmin (f16 each), then 12 bytes of packed scales and minima.
fn run32(p: Planes, n: u32) -> Run32 {
  let block = n >> 3u;
  let j = n & 7u;
  let header = weights[p.p1 + block];
  let factors = scale_min(header.yzw, j);
  let at = p.p0 + block * 8u + (j >> 1u) * 2u;
  let shift = vec4<u32>((j & 1u) * 4u);
  let quants = placed32(low_nibbles(weights[at] >> shift), low_nibbles(weights[at + 1u] >> shift));
  return Run32(quants, half(header.x & 0xffffu) * factors.x, -half(header.x >> 16u) * factors.y);
}
