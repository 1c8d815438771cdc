// Q4_0: w = d * (q - 8). Plane 0: 16 bytes, byte j holds weights j (low nibble) and j + 16; plane 1: d (f16).
struct Run32 {
  quants: Block32,  // times BYTE_PLACES
  d: f32,
}

alias Input32 = Block32;

fn prepare(x: Block32) -> Input32 {
  return scaled32(x, INVERSE_BYTE_PLACES, INVERSE_BYTE_PLACES);
}

fn run32(p: Planes, n: u32) -> Run32 {
  let q = weights[p.p0 + n];
  let u = q & vec4<u32>(0x0f0f0f0fu);
  let v = (q >> vec4<u32>(4u)) & vec4<u32>(0x0f0f0f0fu);
  let middle = 8.0 * BYTE_PLACES;
  let quants = Block32(
    placed4(u.x) - middle, placed4(u.y) - middle, placed4(u.z) - middle, placed4(u.w) - middle,
    placed4(v.x) - middle, placed4(v.y) - middle, placed4(v.z) - middle, placed4(v.w) - middle,
  );
  return Run32(quants, half_at(p.p1, n));
}

fn dot_run(w: Run32, x: Input32) -> f32 {
  return w.d * dot32(w.quants, x);
}

fn block32(p: Planes, n: u32) -> Block32 {
  let w = run32(p, n);
  let d = w.d * INVERSE_BYTE_PLACES;
  return scaled32(w.quants, d, d);
}
