// For each chunk of positions: m = max of its scores; scores = exp(scores - m), in place; s = sum of the new scores.
//
// scores: RowVec[KV_HEADS, row_blocks, capacity], read and written;
// stats: RowVec[KV_HEADS, row_blocks, chunks, 2], the pairs (m, s).
// Grid: x = chunks, one thread each, in workgroups of WORKGROUP; y = row blocks; z = KV heads.
@group(0) @binding(0) var<storage, read> state: StepState;
@group(0) @binding(1) var<uniform> batch: Batch;
@group(0) @binding(2) var<storage, read_write> scores: array<RowVec>;
@group(0) @binding(3) var<storage, read_write> stats: array<RowVec>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let first_row = id.y * ROWS;
  if (first_row >= batch_tokens() * group_size()) {
    return;
  }
  let length = row_length(first_row + ROWS - 1u);
  let first = id.x * CHUNK;
  if (first >= length) {
    return;
  }
  let block = id.z * batch.row_blocks + id.y;
  let begin = block * batch.capacity + first;
  let end = block * batch.capacity + min(first + CHUNK, length);
  var largest = scores[begin];
  for (var at = begin + 1u; at < end; at++) {
    largest = max(largest, scores[at]);
  }
  var sum = RowVec(0.0);
  for (var at = begin; at < end; at++) {
    let e = exp(scores[at] - largest);
    scores[at] = e;
    sum += e;
  }
  let stat = (block * batch_chunks() + id.x) * 2u;
  stats[stat] = largest;
  stats[stat + 1u] = sum;
}
