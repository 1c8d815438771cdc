// Q4_0: w = d * (q - 8). Plane 0: 16 bytes, byte j holds weights j (low nibble) and j + 16; plane 1: d (f16).
fn block32(p: Planes, n: u32) -> Block32 {
  let q = weights[p.p0 + n];
  let low = q & vec4<u32>(0x0f0f0f0fu);
  let high = (q >> vec4<u32>(4u)) & vec4<u32>(0x0f0f0f0fu);
  let d = half_at(p.p1, n) * INVERSE_BYTE_PLACES;
  let eight = 8.0 * BYTE_PLACES;
  return Block32(
    d * (placed4(low.x) - eight), d * (placed4(low.y) - eight), d * (placed4(low.z) - eight), d * (placed4(low.w) - eight),
    d * (placed4(high.x) - eight), d * (placed4(high.y) - eight), d * (placed4(high.z) - eight), d * (placed4(high.w) - eight),
  );
}
