// Loads some columns of a block's two queries and multiplies them with a key. Expects lib/query_rows_2.wgsl, and from
// the kernel: KeyVec, a binding `q: array<KeyVec>`, and row_address().
struct QueryBlock {
  a: KeyVec,
  b: KeyVec,
}

fn block_addresses(first_row: u32, kv_head: u32) -> vec2<u32> {
  return vec2<u32>(row_address(first_row, kv_head), row_address(first_row + 1u, kv_head));
}

fn query_block(addresses: vec2<u32>, column: u32) -> QueryBlock {
  return QueryBlock(q[addresses.x + column], q[addresses.y + column]);
}

fn dots(queries: QueryBlock, key: KeyVec) -> RowVec {
  return RowVec(dot(queries.a, key), dot(queries.b, key));
}
