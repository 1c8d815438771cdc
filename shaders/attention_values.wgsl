// For each chunk of positions: m = max of its scores, e_p = exp(scores[kv, block, p] - m), s = sum over p of e_p,
// partial[chunk, block, kv, d] = sum over p of e_p * value[p, kv, d].
//
// scores: RowVec[KV_HEADS, row_blocks, capacity]; value_cache: u32[capacity, KV_HEADS, HEAD_DIM / 2], packed pairs of
// f16; partial: RowVec[chunks, row_blocks, KV_HEADS, HEAD_DIM]; stats: RowVec[KV_HEADS, row_blocks, chunks, 2], the
// pairs (m, s). A thread computes eight dimensions: one score, one exponential and one 16-byte load for eight products.
// All threads of a head compute the exponentials of the chunk, which costs less than another dispatch on adapters with
// few threads. HEAD_DIM is a multiple of 8.
// Grid: x = (kv, d / 8), in workgroups of WORKGROUP; y = chunks; z = row blocks.
@group(0) @binding(0) var<storage, read> state: StepState;
@group(0) @binding(1) var<uniform> batch: Batch;
// Only read. It is read_write because it shares a buffer with `partial`, and WebGPU allows one usage per buffer.
@group(0) @binding(2) var<storage, read_write> scores: array<RowVec>;
@group(0) @binding(3) var<storage, read> value_cache: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read_write> partial: array<RowVec>;
@group(0) @binding(5) var<storage, read_write> stats: array<RowVec>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let eighths = KV_HEADS * HEAD_DIM / 8u;
  let first_row = id.z * ROWS;
  if (id.x >= eighths || first_row >= batch_tokens() * group_size()) {
    return;
  }
  let length = row_length(first_row + ROWS - 1u);
  let first = id.y * CHUNK;
  if (first >= length) {
    return;
  }
  let kv_head = id.x / (HEAD_DIM / 8u);
  let block = kv_head * batch.row_blocks + id.z;
  let score = block * batch.capacity;
  let end = min(first + CHUNK, length);
  var largest = scores[score + first];
  for (var position = first + 1u; position < end; position++) {
    largest = max(largest, scores[score + position]);
  }
  var total = RowVec(0.0);
  var sum0 = RowVec(0.0);
  var sum1 = RowVec(0.0);
  var sum2 = RowVec(0.0);
  var sum3 = RowVec(0.0);
  var sum4 = RowVec(0.0);
  var sum5 = RowVec(0.0);
  var sum6 = RowVec(0.0);
  var sum7 = RowVec(0.0);
  for (var position = first; position < end; position++) {
    let weight = exp(scores[score + position] - largest);
    total += weight;
    let packed = value_cache[position * eighths + id.x];
    let a = unpack2x16float(packed.x);
    let b = unpack2x16float(packed.y);
    let c = unpack2x16float(packed.z);
    let d = unpack2x16float(packed.w);
    sum0 += weight * a.x;
    sum1 += weight * a.y;
    sum2 += weight * b.x;
    sum3 += weight * b.y;
    sum4 += weight * c.x;
    sum5 += weight * c.y;
    sum6 += weight * d.x;
    sum7 += weight * d.y;
  }
  if (id.x % (HEAD_DIM / 8u) == 0u) {
    let stat = (block * batch_chunks() + id.y) * 2u;
    stats[stat] = largest;
    stats[stat + 1u] = total;
  }
  let at = ((id.y * batch.row_blocks + id.z) * eighths + id.x) * 8u;
  partial[at] = sum0;
  partial[at + 1u] = sum1;
  partial[at + 2u] = sum2;
  partial[at + 3u] = sum3;
  partial[at + 4u] = sum4;
  partial[at + 5u] = sum5;
  partial[at + 6u] = sum6;
  partial[at + 7u] = sum7;
}
