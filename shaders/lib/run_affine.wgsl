// Runs of 32 weights with one scale and one minimum: w = d * quant + m. Expects lib/weights.wgsl and run32().
// The minimum is multiplied by the sum of the inputs.
struct Run32 {
  quants: Block32,  // multiplied by BYTE_PLACES
  d: f32,
  m: f32,
}

struct Input32 {
  x: Block32,  // divided by BYTE_PLACES
  sum: f32,
}

fn prepare(x: Block32) -> Input32 {
  let sum = dot(((x.a + x.b) + (x.c + x.d)) + ((x.e + x.f) + (x.g + x.h)), vec4<f32>(1.0));
  return Input32(scaled32(x, INVERSE_BYTE_PLACES, INVERSE_BYTE_PLACES), sum);
}

fn dot_run(w: Run32, x: Input32) -> f32 {
  return w.d * dot32(w.quants, x.x) + w.m * x.sum;
}

fn block32(p: Planes, n: u32) -> Block32 {
  let w = run32(p, n);
  let d = w.d * INVERSE_BYTE_PLACES;
  let v = scaled32(w.quants, d, d);
  return Block32(v.a + w.m, v.b + w.m, v.c + w.m, v.d + w.m, v.e + w.m, v.f + w.m, v.g + w.m, v.h + w.m);
}
