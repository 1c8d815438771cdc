// Column `column` of the block's query rows; `row_value` is the kernel's. See query_rows_2.wgsl.
fn row_values(first_row: u32, column: u32) -> RowVec {
  return RowVec(row_value(first_row, column), row_value(first_row + 1u, column));
}
