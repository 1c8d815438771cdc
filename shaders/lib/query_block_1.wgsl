// Loads some columns of a block's query and multiplies them with a key. Expects lib/query_rows_1.wgsl, and from
// the kernel: KeyVec, a binding `q: array<KeyVec>`, and row_address().
struct QueryBlock {
  a: KeyVec,
}

fn block_addresses(first_row: u32, kv_head: u32) -> u32 {
  return row_address(first_row, kv_head);
}

fn query_block(addresses: u32, column: u32) -> QueryBlock {
  return QueryBlock(q[addresses + column]);
}

fn dots(queries: QueryBlock, key: KeyVec) -> RowVec {
  return dot(queries.a, key);
}
