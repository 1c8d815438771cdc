// scores[kv, block, p] = (q[row] . key[p, kv]) / sqrt(HEAD_DIM) for the ROWS query rows of a block. If a row may not
// attend to position p, its score is so low that the exponential is 0.
//
// q: f32[tokens, Q_STRIDE]; key_cache: u32[capacity, KV_HEADS, HEAD_DIM / 2], packed pairs of f16;
// scores: RowVec[KV_HEADS, row_blocks, capacity]. For head dimensions that are not multiples of 8; for the others see
// attention_scores_wide.wgsl.
// Grid: x = positions, in workgroups of WORKGROUP; y = row blocks; z = KV heads.
override Q_STRIDE: u32;

alias KeyVec = vec2<f32>;

@group(0) @binding(0) var<storage, read> state: StepState;
@group(0) @binding(1) var<uniform> batch: Batch;
@group(0) @binding(2) var<storage, read> q: array<KeyVec>;
@group(0) @binding(3) var<storage, read> key_cache: array<u32>;
@group(0) @binding(4) var<storage, read_write> scores: array<RowVec>;

const MASKED = -1e30;

// Where the row of a head begins in `q`, in KeyVecs.
fn row_address(row: u32, kv_head: u32) -> u32 {
  let head = kv_head * group_size() + row % group_size();
  return (row_token(row) * Q_STRIDE + head * HEAD_DIM) / 2u;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let position = id.x;
  let first_row = id.y * ROWS;
  let kv_head = id.z;
  let tokens = batch_tokens();
  if (first_row >= tokens * group_size() || position >= row_length(first_row + ROWS - 1u)) {
    return;
  }
  let addresses = block_addresses(first_row, kv_head);
  let key = (position * KV_HEADS + kv_head) * (HEAD_DIM / 2u);
  var sum = RowVec(0.0);
  for (var pair = 0u; pair < HEAD_DIM / 2u; pair++) {
    sum += dots(query_block(addresses, pair), unpack2x16float(key_cache[key + pair]));
  }
  let visible = within(position, row_limits(first_row));
  let at = (kv_head * batch.row_blocks + id.y) * batch.capacity + position;
  scores[at] = select(RowVec(MASKED), sum * inverseSqrt(f32(HEAD_DIM)), visible);
}
