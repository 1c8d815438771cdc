// What the attention kernels share. Needs lib/state.wgsl.
//
// Query rows: the queries that read one KV head, GROUP = heads / kv heads of each token, token after
// token: row r is token r / GROUP of the batch, head kv * GROUP + r % GROUP. A thread takes a block of
// ROWS neighbouring rows (1, 2 or 4, lib/query_rows_*.wgsl) as the lanes of a RowVec, so that a key or
// value is read and unpacked once for all of them. Positions are cut into chunks of CHUNK.
override HEADS: u32;
override KV_HEADS: u32;
override HEAD_DIM: u32;
override WORKGROUP: u32;

const CHUNK = 128u;

// One batch of tokens, within a step; sizes of the scratch memory.
struct Batch {
  first_token: u32,
  max_tokens: u32,
  row_blocks: u32,  // blocks of query rows that scratch memory has room for
  capacity: u32,    // positions that scratch memory has room for
}

fn group_size() -> u32 {
  return HEADS / KV_HEADS;
}

// Tokens of the batch that the step really has.
fn batch_tokens() -> u32 {
  if (state.stalled != 0u || state.token_count <= batch.first_token) {
    return 0u;
  }
  return min(batch.max_tokens, state.token_count - batch.first_token);
}

fn batch_chunks() -> u32 {
  return (batch.capacity + CHUNK - 1u) / CHUNK;
}

// Token of a query row, counted within the step. Rows that fill up the last block repeat the last row.
fn row_token(row: u32) -> u32 {
  return batch.first_token + min(row / group_size(), batch_tokens() - 1u);
}

// Positions that a query row attends to: causal.
fn row_length(row: u32) -> u32 {
  return state.position + row_token(row) + 1u;
}
