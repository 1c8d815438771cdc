// scores[kv, block, p] = (q[row] . key[p, kv]) / sqrt(HEAD_DIM) for the ROWS query rows of a block; where a
// row may not see position p, a number so low that its exponential is 0.
//
// q: f32[tokens, Q_STRIDE]; key_cache: u32[capacity, KV_HEADS, HEAD_DIM / 2], f16 pairs;
// scores: RowVec[KV_HEADS, row_blocks, capacity].
// Grid: x = positions, y = row blocks, z = KV heads.
override Q_STRIDE: u32;

@group(0) @binding(0) var<storage, read> state: StepState;
@group(0) @binding(1) var<uniform> batch: Batch;
@group(0) @binding(2) var<storage, read> q: array<f32>;
@group(0) @binding(3) var<storage, read> key_cache: array<u32>;
@group(0) @binding(4) var<storage, read_write> scores: array<RowVec>;

const UNSEEN = -1e30;

fn row_address(row: u32, kv_head: u32) -> u32 {
  let head = kv_head * group_size() + row % group_size();
  return row_token(row) * Q_STRIDE + head * HEAD_DIM;
}

var<private> kv_head: u32;

fn row_value(row: u32, column: u32) -> f32 {
  return q[row_address(row, kv_head) + column];
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let position = id.x;
  let first_row = id.y * ROWS;
  let tokens = batch_tokens();
  if (first_row >= tokens * group_size() || position >= row_length(first_row + ROWS - 1u)) {
    return;
  }
  kv_head = id.z;
  let key = (position * KV_HEADS + kv_head) * (HEAD_DIM / 2u);
  var sum = RowVec(0.0);
  for (var pair = 0u; pair < HEAD_DIM / 2u; pair++) {
    let k = unpack2x16float(key_cache[key + pair]);
    sum += row_values(first_row, 2u * pair) * k.x;
    sum += row_values(first_row, 2u * pair + 1u) * k.y;
  }
  let seen = within(position, row_limits(first_row));
  let at = (kv_head * batch.row_blocks + id.y) * batch.capacity + position;
  scores[at] = select(RowVec(UNSEEN), sum * inverseSqrt(f32(HEAD_DIM)), seen);
}
