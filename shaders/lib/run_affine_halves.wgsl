// Runs of 32 weights with one scale and one minimum per 16 weights: w = d.x * quant + m.x in the first half, with .y in
// the second. Expects lib/weights.wgsl and run32().
struct Run32 {
  quants: Block32,  // multiplied by BYTE_PLACES
  d: vec2<f32>,
  m: vec2<f32>,
}

struct Input32 {
  x: Block32,  // divided by BYTE_PLACES
  sums: vec2<f32>,
}

fn prepare(x: Block32) -> Input32 {
  let first = dot((x.a + x.b) + (x.c + x.d), vec4<f32>(1.0));
  let second = dot((x.e + x.f) + (x.g + x.h), vec4<f32>(1.0));
  return Input32(scaled32(x, INVERSE_BYTE_PLACES, INVERSE_BYTE_PLACES), vec2<f32>(first, second));
}

fn dot_run(w: Run32, x: Input32) -> f32 {
  let q = w.quants;
  let y = x.x;
  let first = dot16(q.a, q.b, q.c, q.d, y.a, y.b, y.c, y.d);
  let second = dot16(q.e, q.f, q.g, q.h, y.e, y.f, y.g, y.h);
  return dot(w.d, vec2<f32>(first, second)) + dot(w.m, x.sums);
}

fn block32(p: Planes, n: u32) -> Block32 {
  let w = run32(p, n);
  let v = scaled32(w.quants, w.d.x * INVERSE_BYTE_PLACES, w.d.y * INVERSE_BYTE_PLACES);
  let m = w.m;
  return Block32(v.a + m.x, v.b + m.x, v.c + m.x, v.d + m.x, v.e + m.y, v.f + m.y, v.g + m.y, v.h + m.y);
}
