// Column `column` of the block's query rows; `row_value` is the kernel's. See query_rows_4.wgsl.
fn row_values(first_row: u32, column: u32) -> RowVec {
  return RowVec(
    row_value(first_row, column),
    row_value(first_row + 1u, column),
    row_value(first_row + 2u, column),
    row_value(first_row + 3u, column),
  );
}
