// output[t, head] = sum over positions p <= position of t: softmax(q[t, head] . key[p] / sqrt(HEAD_DIM))[p] * value[p]
//
// Scores, softmax and values of one chunk of CHUNK positions after another, without scores in storage. Each chunk gives
// its largest score m, the sum s of exp(score - m) and the sum o of exp(score - m) * value. They are merged in the order
// of the positions. With SPLIT a workgroup computes one chunk, writes (m, s, o) to `partial`,
// and attention_flash_reduce.wgsl merges: many workgroups for a single token. Otherwise a workgroup loops over all
// chunks and merges itself. Both add in the same order, so a token's result does not depend on its batch.
//
// Query rows are the queries that read one KV head, token after token (lib/flash_rows.wgsl). A workgroup computes a tile
// of TILE_ROWS of them with LANES threads for each share of 4 * ROW_VECS rows. In the scores a lane is a position, in
// the values it is a pair of dimensions, or PAIRS pairs. Loops have constant bounds, so that WGSL compilers unroll them:
// positions beyond the last one repeat it with a weight of 0.
//
// q: f32[tokens, Q_STRIDE]; key_cache, value_cache: u32[capacity, KV_HEADS, HEAD_DIM / 2], packed pairs of f16;
// output: f32[tokens, OUTPUT_STRIDE]; partial: vec2[chunks, KV_HEADS, query rows, 1 + HEAD_DIM / 2], (m, s) and then o.
// Grid: x = chunks with SPLIT, else 1; y = tiles of query rows; z = KV heads.
override OUTPUT_STRIDE: u32;
override SPLIT: bool;
override SCORES: u32 = TILE_VECS * CHUNK;
override PART_VECS: u32 = TILE_VECS * PARTS;

// Threads that reduce a vector of four rows. The number is fixed, because it decides in which order a sum is added.
const PARTS = 8u;
const MASKED = -1e30;

@group(0) @binding(0) var<storage, read> state: StepState;
@group(0) @binding(3) var<storage, read> value_cache: array<u32>;
@group(0) @binding(4) var<storage, read_write> output: array<vec2<f32>>;
@group(0) @binding(5) var<storage, read_write> partial: array<vec2<f32>>;
// (first tile): where the query rows of this call start.
@group(0) @binding(6) var<uniform> tiles_from: vec4<u32>;

// [TILE_VECS, CHUNK]: scores, then their exponentials.
var<workgroup> weights: array<vec4<f32>, SCORES>;
var<workgroup> maxima: array<vec4<f32>, PART_VECS>;
var<workgroup> sums: array<vec4<f32>, PART_VECS>;

alias RowVecs = array<vec4<f32>, ROW_VECS>;
alias Values = array<vec4<f32>, VALUE_VECS>;

// (m, s, o) of the rows of a thread. o is indexed by pair * ROW_VECS + vector of rows, the two dimensions apart.
struct Attended {
  largest: RowVecs,
  total: RowVecs,
  low: Values,
  high: Values,
}

// Writes the maximum of every eighth score to `maxima`.
fn reduce_maxima(thread: u32) {
  if (thread < PART_VECS) {
    let first = (thread / PARTS) * CHUNK + thread % PARTS;
    var largest = weights[first];
    for (var i = 1u; i < CHUNK / PARTS; i++) {
      largest = max(largest, weights[first + i * PARTS]);
    }
    maxima[thread] = largest;
  }
}

// Writes the sum of every eighth exponential to `sums`.
fn reduce_sums(thread: u32) {
  if (thread < PART_VECS) {
    let first = (thread / PARTS) * CHUNK + thread % PARTS;
    var sum = weights[first];
    for (var i = 1u; i < CHUNK / PARTS; i++) {
      sum += weights[first + i * PARTS];
    }
    sums[thread] = sum;
  }
}

// The rows' attention to one chunk, of which positions below `length` exist. `vec` is the first vector of the thread.
fn attend_chunk(chunk: u32, length: u32, kv_head: u32, first_row: u32, vec: u32, thread: u32) -> Attended {
  let lane = thread % LANES;
  let position = chunk * CHUNK + lane;
  var attended = Attended();
  var scores = key_dots(min(position, length - 1u), kv_head, vec);
  for (var v = 0u; v < ROW_VECS; v++) {
    let visible = vec4<u32>(position) < row_limits(first_row + (vec + v) * 4u);
    scores[v] = select(vec4<f32>(MASKED), scores[v] * inverseSqrt(f32(HEAD_DIM)), visible);
    weights[(vec + v) * CHUNK + lane] = scores[v];
  }
  workgroupBarrier();
  reduce_maxima(thread);
  workgroupBarrier();
  for (var v = 0u; v < ROW_VECS; v++) {
    var largest = maxima[(vec + v) * PARTS];
    for (var part = 1u; part < PARTS; part++) {
      largest = max(largest, maxima[(vec + v) * PARTS + part]);
    }
    attended.largest[v] = largest;
    weights[(vec + v) * CHUNK + lane] = exp(scores[v] - largest);
  }
  workgroupBarrier();
  reduce_sums(thread);
  for (var p = 0u; p < CHUNK; p++) {
    let row = (min(chunk * CHUNK + p, length - 1u) * KV_HEADS + kv_head) * (HEAD_DIM / 2u);
    for (var pair = 0u; pair < PAIRS; pair++) {
      let value = unpack2x16float(value_cache[row + min(pair * LANES + lane, HEAD_DIM / 2u - 1u)]);
      for (var v = 0u; v < ROW_VECS; v++) {
        let weight = weights[(vec + v) * CHUNK + p];
        attended.low[pair * ROW_VECS + v] += weight * value.x;
        attended.high[pair * ROW_VECS + v] += weight * value.y;
      }
    }
  }
  workgroupBarrier();
  for (var v = 0u; v < ROW_VECS; v++) {
    var total = sums[(vec + v) * PARTS];
    for (var part = 1u; part < PARTS; part++) {
      total += sums[(vec + v) * PARTS + part];
    }
    attended.total[v] = total;
  }
  return attended;
}

fn merge_chunk(before: Attended, chunk: Attended) -> Attended {
  var merged: Attended;
  for (var v = 0u; v < ROW_VECS; v++) {
    let largest = max(before.largest[v], chunk.largest[v]);
    let keep = exp(before.largest[v] - largest);
    let add = exp(chunk.largest[v] - largest);
    merged.largest[v] = largest;
    merged.total[v] = before.total[v] * keep + chunk.total[v] * add;
    for (var pair = 0u; pair < PAIRS; pair++) {
      let i = pair * ROW_VECS + v;
      merged.low[i] = before.low[i] * keep + chunk.low[i] * add;
      merged.high[i] = before.high[i] * keep + chunk.high[i] * add;
    }
  }
  return merged;
}

// Stores the rows of a thread: their quotient, or with SPLIT the unmerged chunk.
fn store(result: Attended, chunk: u32, kv_head: u32, first_row: u32, vec: u32, lane: u32) {
  for (var v = 0u; v < ROW_VECS; v++) {
    for (var c = 0u; c < 4u; c++) {
      let row = first_row + (vec + v) * 4u + c;
      if (row >= row_count()) {
        continue;
      }
      let record = ((chunk * KV_HEADS + kv_head) * row_count() + row) * (1u + HEAD_DIM / 2u);
      if (SPLIT && lane == 0u) {
        partial[record] = vec2<f32>(result.largest[v][c], result.total[v][c]);
      }
      let head = kv_head * group_size() + row % group_size();
      let out = (row / group_size() * OUTPUT_STRIDE + head * HEAD_DIM) / 2u;
      for (var p = 0u; p < PAIRS; p++) {
        let pair = p * LANES + lane;
        if (pair >= HEAD_DIM / 2u) {
          continue;
        }
        let o = vec2<f32>(result.low[p * ROW_VECS + v][c], result.high[p * ROW_VECS + v][c]);
        if (SPLIT) {
          partial[record + 1u + pair] = o;
        } else {
          output[out + pair] = o / result.total[v][c];
        }
      }
    }
  }
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let first_row = (tiles_from.x + group.y) * TILE_ROWS;
  let kv_head = group.z;
  if (state.stalled != 0u || first_row >= row_count()) {
    return;
  }
  let length = row_length(first_row + TILE_ROWS - 1u);
  if (SPLIT && group.x * CHUNK >= length) {
    return;
  }
  let vec = (thread / LANES) * ROW_VECS;
  load_queries(first_row, kv_head, thread);
  workgroupBarrier();
  if (SPLIT) {
    let chunk = attend_chunk(group.x, length, kv_head, first_row, vec, thread);
    store(chunk, group.x, kv_head, first_row, vec, thread % LANES);
    return;
  }
  var result = Attended();
  for (var v = 0u; v < ROW_VECS; v++) {
    result.largest[v] = vec4<f32>(MASKED);
  }
  for (var chunk = 0u; chunk < MAX_CHUNKS; chunk++) {
    if (chunk * CHUNK >= length) {
      break;
    }
    result = merge_chunk(result, attend_chunk(chunk, length, kv_head, first_row, vec, thread));
  }
  store(result, 0u, kv_head, first_row, vec, thread % LANES);
}
