// Loads some columns of a block's four queries and multiplies them with a key. Expects lib/query_rows_4.wgsl, and from
// the kernel: KeyVec, a binding `q: array<KeyVec>`, and row_address().
struct QueryBlock {
  a: KeyVec,
  b: KeyVec,
  c: KeyVec,
  d: KeyVec,
}

fn block_addresses(first_row: u32, kv_head: u32) -> vec4<u32> {
  return vec4<u32>(
    row_address(first_row, kv_head),
    row_address(first_row + 1u, kv_head),
    row_address(first_row + 2u, kv_head),
    row_address(first_row + 3u, kv_head),
  );
}

fn query_block(addresses: vec4<u32>, column: u32) -> QueryBlock {
  return QueryBlock(
    q[addresses.x + column], q[addresses.y + column], q[addresses.z + column], q[addresses.w + column],
  );
}

fn dots(queries: QueryBlock, key: KeyVec) -> RowVec {
  return RowVec(dot(queries.a, key), dot(queries.b, key), dot(queries.c, key), dot(queries.d, key));
}
