// partial[chunk, block, kv, d] = sum over the positions p of the chunk of scores[kv, block, p] * value[p, kv, d]
//
// scores: RowVec[KV_HEADS, row_blocks, capacity], the exponentials of attention_softmax.wgsl;
// value_cache: u32[capacity, KV_HEADS, HEAD_DIM / 2], packed pairs of f16;
// partial: RowVec[chunks, row_blocks, KV_HEADS, HEAD_DIM].
// Grid: x = pairs (kv, d / 2), in workgroups of WORKGROUP; y = chunks; z = row blocks.
@group(0) @binding(0) var<storage, read> state: StepState;
@group(0) @binding(1) var<uniform> batch: Batch;
// Only read. It is read_write because it shares a buffer with `partial`, and WebGPU allows one usage per buffer.
@group(0) @binding(2) var<storage, read_write> scores: array<RowVec>;
@group(0) @binding(3) var<storage, read> value_cache: array<u32>;
@group(0) @binding(4) var<storage, read_write> partial: array<RowVec>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let pairs = KV_HEADS * HEAD_DIM / 2u;
  let first_row = id.z * ROWS;
  if (id.x >= pairs || first_row >= batch_tokens() * group_size()) {
    return;
  }
  let length = row_length(first_row + ROWS - 1u);
  let first = id.y * CHUNK;
  if (first >= length) {
    return;
  }
  let kv_head = id.x / (HEAD_DIM / 2u);
  let score = (kv_head * batch.row_blocks + id.z) * batch.capacity;
  var low = RowVec(0.0);
  var high = RowVec(0.0);
  for (var position = first; position < min(first + CHUNK, length); position++) {
    let weight = scores[score + position];
    let value = unpack2x16float(value_cache[position * pairs + id.x]);
    low += weight * value.x;
    high += weight * value.y;
  }
  let at = ((id.y * batch.row_blocks + id.z) * pairs + id.x) * 2u;
  partial[at] = low;
  partial[at + 1u] = high;
}
