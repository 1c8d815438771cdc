// Declarations that the attention kernels share. Expects StepState, a binding `batch: Batch`, and
// lib/query_rows_*.wgsl.
//
// Query rows are the queries that read one KV head: `group_size()` = HEADS / KV_HEADS of them per token, token after
// token. Row r is token r / group_size() of the batch, head kv * group_size() + r % group_size(). A thread takes a
// block of ROWS (1, 2 or 4) neighboring rows as the lanes of a RowVec, so that a key or value is loaded and unpacked
// once for all of them. Positions are split into chunks of CHUNK.
override HEADS: u32;
override KV_HEADS: u32;
override HEAD_DIM: u32;
override WORKGROUP: u32;

const CHUNK = 128u;

// The tokens of a step that are computed together, and the sizes of the scratch memory.
struct Batch {
  first_token: u32,
  max_tokens: u32,
  row_blocks: u32,  // blocks of query rows that fit into the scratch memory
  capacity: u32,    // positions that fit into the scratch memory
}

fn group_size() -> u32 {
  return HEADS / KV_HEADS;
}

// The number of tokens of the batch that exist in this step; 0 if the step stalled.
fn batch_tokens() -> u32 {
  if (state.stalled != 0u || state.token_count <= batch.first_token) {
    return 0u;
  }
  return min(batch.max_tokens, state.token_count - batch.first_token);
}

fn batch_chunks() -> u32 {
  return (batch.capacity + CHUNK - 1u) / CHUNK;
}

// The token of a query row, as an index within the step. Query rows that only fill the last block repeat the last
// token.
fn row_token(row: u32) -> u32 {
  return batch.first_token + min(row / group_size(), batch_tokens() - 1u);
}

// The number of positions that a query row attends to: its own and all earlier ones.
fn row_length(row: u32) -> u32 {
  return state.position + row_token(row) + 1u;
}
