// Q4_0: w = d * (q - 8). Plane 0: 16 bytes, byte j holds weights j (low nibble) and j + 16; plane 1: d (f16).
fn block32(p: Planes, n: u32) -> Block32 {
  let q = weights[p.p0 + n];
  let d = half_at(p.p1, n);
  return Block32(
    d * (bytes4(q.x, 0u, 15u) - 8.0), d * (bytes4(q.y, 0u, 15u) - 8.0),
    d * (bytes4(q.z, 0u, 15u) - 8.0), d * (bytes4(q.w, 0u, 15u) - 8.0),
    d * (bytes4(q.x, 4u, 15u) - 8.0), d * (bytes4(q.y, 4u, 15u) - 8.0),
    d * (bytes4(q.z, 4u, 15u) - 8.0), d * (bytes4(q.w, 4u, 15u) - 8.0),
  );
}
