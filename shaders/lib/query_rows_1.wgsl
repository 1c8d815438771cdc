// RowVec, RowMask and ROWS for one query row per thread. Expects lib/attention_batch.wgsl.
alias RowVec = f32;
alias RowMask = bool;
const ROWS = 1u;

fn row_limits(first_row: u32) -> u32 {
  return row_length(first_row);
}

fn within(position: u32, limits: u32) -> RowMask {
  return position < limits;
}
