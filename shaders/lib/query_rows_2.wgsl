// RowVec, RowMask and ROWS for two query rows per thread. Expects lib/attention_batch.wgsl.
alias RowVec = vec2<f32>;
alias RowMask = vec2<bool>;
const ROWS = 2u;

fn row_limits(first_row: u32) -> vec2<u32> {
  return vec2<u32>(row_length(first_row), row_length(first_row + 1u));
}

fn within(position: u32, limits: vec2<u32>) -> RowMask {
  return vec2<u32>(position) < limits;
}
