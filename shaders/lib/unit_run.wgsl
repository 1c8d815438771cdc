// Units of one run of 32 weights, for types whose runs share no bytes (see product_staged.wgsl).
const UNIT_RUNS = 1u;
alias Unit = Run32;

// The n-th unit of a matrix.
fn unit_at(p: Planes, n: u32) -> Unit {
  return run32(p, n);
}

// Run `part` (below UNIT_RUNS) of a unit.
fn run_of(unit: Unit, part: u32) -> Run32 {
  return unit;
}

// The number of run `part` of a unit within its row.
fn run_of_unit(unit: u32, part: u32) -> u32 {
  return unit;
}
