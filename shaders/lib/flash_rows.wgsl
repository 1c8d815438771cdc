// Declarations that the kernels of flash attention share. Expects StepState and a binding `state`.
//
// Query rows are the queries that read one KV head: `group_size()` = HEADS / KV_HEADS of them per token, token after
// token. Row r is token r / group_size(), head kv * group_size() + r % group_size().
override HEADS: u32;
override KV_HEADS: u32;
override HEAD_DIM: u32;
override WORKGROUP: u32;

const CHUNK = 64u;
// No context is longer than MAX_CHUNKS * CHUNK positions. A constant bound lets WGSL compilers prove that a loop ends.
const MAX_CHUNKS = 65536u;

fn group_size() -> u32 {
  return HEADS / KV_HEADS;
}

fn row_count() -> u32 {
  return state.token_count * group_size();
}

// The number of positions that a query row attends to: its own and all earlier ones. The last row stands for all beyond it.
fn row_length(row: u32) -> u32 {
  return state.position + min(row, row_count() - 1u) / group_size() + 1u;
}

fn row_limits(row: u32) -> vec4<u32> {
  return vec4<u32>(row_length(row), row_length(row + 1u), row_length(row + 2u), row_length(row + 3u));
}
