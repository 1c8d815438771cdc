// Runs of 32 weights that are stored as floats. Expects lib/weights.wgsl and block32() instead of run32().
alias Run32 = Block32;
alias Input32 = Block32;

fn run32(p: Planes, n: u32) -> Run32 {
  return block32(p, n);
}

fn prepare(x: Block32) -> Input32 {
  return x;
}

fn dot_run(w: Run32, x: Input32) -> f32 {
  return dot32(w, x);
}
