// Some columns of a block's query rows (KeyVec: of the kernel), and their products with a key.
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
