// RowVec, RowMask and ROWS for four query rows per thread. Expects lib/attention_batch.wgsl.
alias RowVec = vec4<f32>;
alias RowMask = vec4<bool>;
const ROWS = 4u;

fn row_limits(first_row: u32) -> vec4<u32> {
  return vec4<u32>(
    row_length(first_row), row_length(first_row + 1u), row_length(first_row + 2u), row_length(first_row + 3u),
  );
}

fn within(position: u32, limits: vec4<u32>) -> RowMask {
  return vec4<u32>(position) < limits;
}
