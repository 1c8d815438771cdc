// scores[kv, block, p] = (q[row] . key[p, kv]) / sqrt(HEAD_DIM) for the ROWS query rows of a block. If a row may not
// attend to position p, its score is so low that the exponential is 0.
//
// q: f32[tokens, Q_STRIDE]; key_cache: u32[capacity, KV_HEADS, HEAD_DIM / 2], packed pairs of f16;
// scores: RowVec[KV_HEADS, row_blocks, capacity]. HEAD_DIM is a multiple of 8, so keys are loaded 16 bytes at a time.
// A thread computes POSITIONS neighboring positions, which share the loads of the queries.
// Grid: x = positions / POSITIONS, in workgroups of WORKGROUP; y = row blocks; z = KV heads.
override Q_STRIDE: u32;

const POSITIONS = 4u;

alias KeyVec = vec4<f32>;

@group(0) @binding(0) var<storage, read> state: StepState;
@group(0) @binding(1) var<uniform> batch: Batch;
@group(0) @binding(2) var<storage, read> q: array<KeyVec>;
@group(0) @binding(3) var<storage, read> key_cache: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read_write> scores: array<RowVec>;

const MASKED = -1e30;

// Where the row of a head begins in `q`, in KeyVecs.
fn row_address(row: u32, kv_head: u32) -> u32 {
  let head = kv_head * group_size() + row % group_size();
  return (row_token(row) * Q_STRIDE + head * HEAD_DIM) / 4u;
}

// The dot products of a block of queries with eight dimensions of a key.
fn eight(low: QueryBlock, high: QueryBlock, packed: vec4<u32>) -> RowVec {
  let first = vec4<f32>(unpack2x16float(packed.x), unpack2x16float(packed.y));
  let second = vec4<f32>(unpack2x16float(packed.z), unpack2x16float(packed.w));
  return dots(low, first) + dots(high, second);
}

fn store(at: u32, position: u32, first_row: u32, sum: RowVec) {
  let visible = within(position, row_limits(first_row));
  scores[at + position] = select(RowVec(MASKED), sum * inverseSqrt(f32(HEAD_DIM)), visible);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let position = id.x * POSITIONS;
  let first_row = id.y * ROWS;
  let kv_head = id.z;
  let tokens = batch_tokens();
  let length = row_length(first_row + ROWS - 1u);
  if (first_row >= tokens * group_size() || position >= length) {
    return;
  }
  let addresses = block_addresses(first_row, kv_head);
  let stride = KV_HEADS * HEAD_DIM / 8u;
  let key = position * stride + kv_head * (HEAD_DIM / 8u);
  let at = (kv_head * batch.row_blocks + id.y) * batch.capacity;
  var sum0 = RowVec(0.0);
  // The positions of the last thread may exceed the length. It then computes the last position again.
  let last = length - 1u - position;
  let key1 = key + min(1u, last) * stride;
  let key2 = key + min(2u, last) * stride;
  let key3 = key + min(3u, last) * stride;
  var sum1 = RowVec(0.0);
  var sum2 = RowVec(0.0);
  var sum3 = RowVec(0.0);
  for (var i = 0u; i < HEAD_DIM / 8u; i++) {
    let low = query_block(addresses, 2u * i);
    let high = query_block(addresses, 2u * i + 1u);
    sum0 += eight(low, high, key_cache[key + i]);
    sum1 += eight(low, high, key_cache[key1 + i]);
    sum2 += eight(low, high, key_cache[key2 + i]);
    sum3 += eight(low, high, key_cache[key3 + i]);
  }
  store(at, position, first_row, sum0);
  store(at, position + min(1u, last), first_row, sum1);
  store(at, position + min(2u, last), first_row, sum2);
  store(at, position + min(3u, last), first_row, sum3);
}
