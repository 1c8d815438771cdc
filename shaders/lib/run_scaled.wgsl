// Runs of 32 weights with one scale: w = d * quant. Expects lib/weights.wgsl and run32().
struct Run32 {
  quants: Block32,  // multiplied by BYTE_PLACES
  d: f32,
}

alias Input32 = Block32;

fn prepare(x: Block32) -> Input32 {
  return scaled32(x, INVERSE_BYTE_PLACES, INVERSE_BYTE_PLACES);
}

fn dot_run(w: Run32, x: Input32) -> f32 {
  return w.d * dot32(w.quants, x);
}

fn block32(p: Planes, n: u32) -> Block32 {
  let w = run32(p, n);
  let d = w.d * INVERSE_BYTE_PLACES;
  return scaled32(w.quants, d, d);
}
