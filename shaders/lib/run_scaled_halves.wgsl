// Runs of 32 weights with one scale per 16 weights: w = s * quant in the first half, t * quant in the second. Expects
// lib/weights.wgsl and run32().
struct Run32 {
  quants: Block32,  // multiplied by BYTE_PLACES
  s: f32,
  t: f32,
}

alias Input32 = Block32;

fn prepare(x: Block32) -> Input32 {
  return scaled32(x, INVERSE_BYTE_PLACES, INVERSE_BYTE_PLACES);
}

fn dot_run(w: Run32, x: Input32) -> f32 {
  let q = w.quants;
  return w.s * dot16(q.a, q.b, q.c, q.d, x.a, x.b, x.c, x.d) + w.t * dot16(q.e, q.f, q.g, q.h, x.e, x.f, x.g, x.h);
}

fn block32(p: Planes, n: u32) -> Block32 {
  let w = run32(p, n);
  return scaled32(w.quants, w.s * INVERSE_BYTE_PLACES, w.t * INVERSE_BYTE_PLACES);
}
