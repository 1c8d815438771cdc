// output[t, head, d] = (sum over chunks c of e_c * partial[c, row, d]) / (sum over chunks c of e_c * s_c),
// with e_c = exp(m_c - max of all m) and row = the query row of (t, head).
//
// stats: f32[KV_HEADS, row_blocks, chunks, 2, ROWS], the pairs (m, s);
// partial: f32[chunks, row_blocks, KV_HEADS, HEAD_DIM, ROWS]; output: f32[tokens, OUTPUT_STRIDE].
// Grid: x = HEADS * HEAD_DIM columns, in workgroups of WORKGROUP; y = tokens of the batch.
override OUTPUT_STRIDE: u32;

@group(0) @binding(0) var<storage, read> state: StepState;
@group(0) @binding(1) var<uniform> batch: Batch;
@group(0) @binding(2) var<storage, read> stats: array<f32>;
@group(0) @binding(3) var<storage, read> partial: array<f32>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= HEADS * HEAD_DIM || id.y >= batch_tokens()) {
    return;
  }
  let head = id.x / HEAD_DIM;
  let kv_head = head / group_size();
  let row = id.y * group_size() + head % group_size();
  let block = row / ROWS;
  let lane = row % ROWS;
  let chunks = (row_length(row) + CHUNK - 1u) / CHUNK;

  let first_stat = (kv_head * batch.row_blocks + block) * batch_chunks() * 2u * ROWS + lane;
  var largest = stats[first_stat];
  for (var chunk = 1u; chunk < chunks; chunk++) {
    largest = max(largest, stats[first_stat + chunk * 2u * ROWS]);
  }
  let column = kv_head * HEAD_DIM + id.x % HEAD_DIM;
  var sum = 0.0;
  var total = 0.0;
  for (var chunk = 0u; chunk < chunks; chunk++) {
    let stat = first_stat + chunk * 2u * ROWS;
    let scale = exp(stats[stat] - largest);
    let at = ((chunk * batch.row_blocks + block) * KV_HEADS * HEAD_DIM + column) * ROWS + lane;
    sum += scale * partial[at];
    total += scale * stats[stat + ROWS];
  }
  output[(batch.first_token + id.y) * OUTPUT_STRIDE + id.x] = sum / total;
}
